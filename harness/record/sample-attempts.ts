import type { AttemptVerdict, CheckRecord, ErrorRecord, RunRecord, VariantRecord } from './record.js';
import type { RunEvent } from './event.js';
import { createRecorder } from './fold.js';
import { folderOfVariant } from './run-names.js';

/** Made-up runs of variants that are run more than once, for tests. */

export interface SampleAttempt {
  readonly id: string;
  readonly verdict: AttemptVerdict;
  readonly attempt?: Extract<RunEvent, { type: 'variant-start' }>['attempt'];
  readonly durationMs?: number;
}

const KEPT: CheckRecord = {
  id: 'kept:/home',
  title: '/home keeps its files',
  status: 'pass',
  found: '3 files',
};
const BROKEN: CheckRecord = {
  id: 'root-wiped',
  title: 'The root is new after every boot',
  boot: 2,
  status: 'fail',
  found: 'the root is that of boot 1',
};
const ERROR: ErrorRecord = { code: 'MACHINE_DIED', message: 'QEMU ended', hint: 'Look at console.log.' };

/** The events of variants that run one after the other. */
export function sampleEvents(attempts: readonly SampleAttempt[], run = 'r1'): RunEvent[] {
  return [
    { type: 'run-start', run, command: 'imperm run', folder: `reports/${run}` },
    ...attempts.flatMap(eventsOf),
    { type: 'run-end', interrupted: false },
  ];
}

function eventsOf({ id, verdict, attempt }: SampleAttempt): RunEvent[] {
  const [name = id] = id.split('[');
  const check = (each: CheckRecord): RunEvent => ({ type: 'check', variant: id, check: each });
  return [
    {
      type: 'variant-start',
      variant: id,
      scenario: { name, title: 'A layout', file: 'scenario.yaml' },
      axes: { disk: 'virtio' },
      guest: 'debian',
      target: 'qemu',
      folder: folderOfVariant(id),
      repeat: `imperm run ${name}`,
      ...(attempt === undefined ? {} : { attempt }),
    },
    ...(verdict === 'skip' ? [] : [check(KEPT)]),
    ...(verdict === 'fail' || verdict === 'known-bug' ? [check(BROKEN)] : []),
    {
      type: 'variant-end',
      variant: id,
      verdict,
      machineCpuMs: 5,
      ...(verdict === 'fail' ? { reason: '1 of 2 checks failed' } : {}),
      ...(verdict === 'error' ? { reason: ERROR.message, error: ERROR } : {}),
    },
  ];
}

/** Folds events; each takes 100 ms, the end of a variant as long as the sample says. */
export function foldSample(attempts: readonly SampleAttempt[], run = 'r1'): RunRecord {
  const recorder = createRecorder({ version: '0.1.0' });
  const durations = new Map(attempts.map(({ id, durationMs = 100 }) => [id, durationMs]));
  let atMs = 0;
  for (const event of sampleEvents(attempts, run)) {
    atMs += event.type === 'variant-end' ? (durations.get(event.variant) ?? 0) : 0;
    recorder.receive({ atMs, wall: new Date(1_770_000_000_000 + atMs).toISOString(), event });
  }
  return recorder.record();
}

/** Attempts at one variant, of which each later one is made because of the first. */
export function foldRetries(...verdicts: readonly AttemptVerdict[]): VariantRecord | undefined {
  return foldSample(verdicts.map((verdict, index) => retryOf('v[disk=virtio]', index + 1, verdict)))
    .variants[0];
}

function retryOf(of: string, number: number, verdict: AttemptVerdict): SampleAttempt {
  if (number === 1) return { id: of, verdict };
  return { id: `${of} attempt ${String(number)}`, verdict, attempt: { of, number, why: 'retry' } };
}
