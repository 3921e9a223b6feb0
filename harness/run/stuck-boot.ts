import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { HarnessError } from '../core/index.js';
import {
  checkFailedBoot,
  type DiskEvidence,
  explainFailedRollback,
  explainStuckBoot,
  parseForwardedJournal,
  parseStageOneConsole,
} from '../probe/index.js';
import type { HardwareHost, Scenario } from '../scenario/index.js';
import type { VariantContext } from './context.js';
import type { FindingLog } from './findings.js';

/** Lines of a boot that did not come up that are shown with what is said of it. */
const EVIDENCE_LINES = 20;

/** A boot that did not come up, by the layout's fault. */
export interface StuckBoot {
  readonly boot: number;
  readonly error: HarnessError;
}

/** A machine whose console shows that it will not come up, or that hangs in its boot, says something of the layout. */
export function isLayoutsFault(error: unknown): error is HarnessError {
  if (!(error instanceof HarnessError)) return false;
  return (
    error.code === 'CONSOLE_FAILURE' ||
    (error.code === 'TIMEOUT' && /stage 1 to|booted system to/.test(error.message))
  );
}

/**
 * Reports all that is known of a boot that did not come up. The machine is off and its journal complete.
 *
 * @param options.folder The variant's, with the journal.
 */
export async function reportStuckBoot(
  { boot, error }: StuckBoot,
  options: Pick<VariantContext, 'folder' | 'hardware' | 'brief'> & {
    readonly scenario: Scenario;
    readonly log: FindingLog;
    /** What is on it now. */
    readonly disk: Pick<DiskEvidence, 'volumes'>;
  },
): Promise<void> {
  const { scenario, folder, log, hardware, brief } = options;
  const more = hardware !== undefined ? ['disk-journal.log'] : brief === true ? [] : ['screen.png'];
  const files = ['console.log', 'journal.log', ...more];
  const read = (file: string): Promise<string> => readFile(path.join(folder, file), 'utf8');
  // No journal is kept while scripted stage 1 runs: there the console is the log.
  const journal =
    scenario.system.stage1 === 'scripted'
      ? parseStageOneConsole(await read('console.log'))
      : parseForwardedJournal(await read('journal.log'), scenario);
  const findings = checkFailedBoot(scenario, { boot, journal });
  const wrongOrder = findings.find(({ status }) => status === 'fail');
  const told =
    explainStuckBoot(scenario, { message: error.message, journal, disk: options.disk }) ??
    // What ran in a wrong order fails for that.
    (wrongOrder === undefined
      ? explainFailedRollback(scenario, { journal, disk: options.disk })
      : { cause: wrongOrder.cause, evidence: [] });
  const telling = (told?.evidence ?? []).slice(0, EVIDENCE_LINES - 1);
  log.report(findings, files);
  log.add({
    id: 'boots',
    title: 'the system comes up',
    boot,
    status: 'fail',
    expected: 'a booted system that answers',
    found: error.message,
    cause:
      told?.cause ??
      (hardware === undefined
        ? 'The last lines of the console tell what stage 1 or the system was waiting for; journal.log goes on where the console is silent.'
        : describeReal(hardware.host)),
    evidence: [...telling, ...(error.details ?? '').split('\n').slice(telling.length - EVIDENCE_LINES)],
    files,
  });
}

/** A real machine that is not heard may also run, and not be reached. */
function describeReal({ console, system }: HardwareHost): string {
  const seen =
    console === undefined
      ? 'Nobody saw its console (`console` in the host file).'
      : 'The last lines of the console tell how far it came.';
  return `${seen} If the system was up, it could not be reached at ${system.address} port ${String(system.port)}: disk-journal.log, read from its disk afterwards, tells whether it had a network.`;
}
