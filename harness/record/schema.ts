import { z } from 'zod';

import type { ErrorCode } from '../core/index.js';
import { leaksRecordSchema } from './leaks.js';
import { RECORD_VERSION, type HistoryEntry, type RunRecord } from './record.js';

/** The compiler makes this list complete: a code missing here does not compile. */
const ERROR_CODES: Record<ErrorCode, ErrorCode> = {
  USAGE: 'USAGE',
  SCENARIO_INVALID: 'SCENARIO_INVALID',
  HOST_UNFIT: 'HOST_UNFIT',
  TOOL_FAILED: 'TOOL_FAILED',
  IMAGE_BUILD_FAILED: 'IMAGE_BUILD_FAILED',
  NIX_FAILED: 'NIX_FAILED',
  SYSTEM_REFUSED: 'SYSTEM_REFUSED',
  MACHINE_DIED: 'MACHINE_DIED',
  MACHINE_UNREACHABLE: 'MACHINE_UNREACHABLE',
  WRONG_MACHINE: 'WRONG_MACHINE',
  CONSOLE_FAILURE: 'CONSOLE_FAILURE',
  TIMEOUT: 'TIMEOUT',
  INSTALL_FAILED: 'INSTALL_FAILED',
  STEP_FAILED: 'STEP_FAILED',
  GUEST_COMMAND_FAILED: 'GUEST_COMMAND_FAILED',
  EVIDENCE_MISSING: 'EVIDENCE_MISSING',
  SECRET_FOUND: 'SECRET_FOUND',
  INTERRUPTED: 'INTERRUPTED',
  INTERNAL: 'INTERNAL',
};

const count = z.int().nonnegative();
const milliseconds = z.number().nonnegative();
const texts = z.array(z.string());

const place = z.object({ file: z.string(), line: z.int().positive(), col: z.int().positive() });

const phase = z.object({
  name: z.string().min(1),
  boot: z.int().positive().exactOptional(),
  startMs: milliseconds,
  durationMs: milliseconds,
});

const boot = z.object({
  number: z.int().positive(),
  how: z.enum(['power-on', 'reboot', 'power-cut']),
  bootId: z.string().exactOptional(),
});

const check = z.object({
  id: z.string().min(1),
  title: z.string(),
  boot: z.int().positive().exactOptional(),
  status: z.enum(['pass', 'fail', 'error']),
  place: place.exactOptional(),
  expected: z.string().exactOptional(),
  found: z.string(),
  cause: z.string().exactOptional(),
  evidence: texts.exactOptional(),
  files: texts.exactOptional(),
});

const error = z.object({
  code: z.enum(ERROR_CODES),
  message: z.string(),
  hint: z.string().exactOptional(),
  place: place.exactOptional(),
  details: z.string().exactOptional(),
});

const host = z.object({
  accelerator: z.enum(['kvm', 'tcg', 'none']),
  acceleratorReason: z.string(),
  qemu: z.string(),
  firmware: z.string(),
  connect: z.string().exactOptional(),
  cpus: count,
  memoryMiB: z.number().nonnegative(),
  node: z.string(),
});

/** What one attempt has shown. */
const facts = {
  reason: z.string().exactOptional(),
  startedAt: z.iso.datetime(),
  durationMs: milliseconds,
  machineCpuMs: milliseconds,
  phases: z.array(phase),
  boots: z.array(boot),
  checks: z.array(check),
  leaks: leaksRecordSchema.exactOptional(),
  error: error.exactOptional(),
  kept: z.object({ folder: z.string(), sizeBytes: count }).exactOptional(),
  folder: z.string(),
};

const ATTEMPT_VERDICTS = ['pass', 'fail', 'error', 'skip', 'known-bug'] as const;

const attempt = z.object({ attempt: z.int().positive(), verdict: z.enum(ATTEMPT_VERDICTS), ...facts });

const VERDICTS = [...ATTEMPT_VERDICTS, 'flaky'] as const;

const point = z.object({ when: z.iso.datetime(), run: z.string(), imperm: z.string() });

const history = z.object({
  verdicts: z.array(z.enum(VERDICTS)),
  failingSince: point.exactOptional(),
  failingRuns: z.int().positive().exactOptional(),
  lastAsDeclared: point.exactOptional(),
  durationsMs: z.array(milliseconds),
});

const shard = z.object({
  index: z.int().positive(),
  count: z.int().positive(),
  selection: texts,
  part: texts,
  digest: z.string(),
});

const mergedShard = z.object({
  index: z.int().positive(),
  run: z.string(),
  startedAt: z.iso.datetime(),
  durationMs: milliseconds,
  host: host.exactOptional(),
});

const variant = z.object({
  id: z.string().min(1),
  scenario: z.object({ name: z.string(), title: z.string(), file: z.string() }),
  axes: z.record(z.string(), z.string()),
  guest: z.string(),
  target: z.string(),
  connect: z.string().exactOptional(),
  verdict: z.enum(VERDICTS),
  attempt: z.int().positive().exactOptional(),
  repeatOf: z.string().exactOptional(),
  otherAttempts: z.array(attempt).exactOptional(),
  ...facts,
  repeat: z.string(),
  history: history.exactOptional(),
});

/** A line of the history file. */
export const historyEntrySchema: z.ZodType<HistoryEntry> = z.object({
  version: z.literal(1),
  when: z.iso.datetime(),
  run: z.string(),
  imperm: z.string(),
  variant: z.string().min(1),
  attempt: z.int().positive().exactOptional(),
  verdict: z.enum(VERDICTS),
  durationMs: milliseconds,
  broken: z.string().exactOptional(),
  error: z.string().exactOptional(),
  guest: z.string(),
  target: z.string(),
  accelerator: z.string().exactOptional(),
});

/** `record.json` as it is on disk. Keys it does not name are dropped: a new field has to be added here too. */
export const runRecordSchema: z.ZodType<RunRecord> = z.object({
  version: z.literal(RECORD_VERSION),
  imperm: z.string(),
  run: z.string().min(1),
  command: z.string(),
  startedAt: z.iso.datetime(),
  durationMs: milliseconds,
  interrupted: z.boolean(),
  shard: shard.exactOptional(),
  mergedFrom: z.array(mergedShard).exactOptional(),
  host: host.exactOptional(),
  hosts: z.array(host).exactOptional(),
  setup: z.array(phase),
  variants: z.array(variant),
});

/** Only the version, to tell a record of another age from a broken one. */
export const recordVersionSchema = z.object({ version: z.number() });
