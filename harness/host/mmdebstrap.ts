import pRetry from 'p-retry';

import { type Budget, HarnessError, runProgram, type RunProgramOptions } from '../core/index.js';
import { debianMirrorArguments } from './mirror.js';

export interface MmdebstrapOptions {
  /** Everything but the mirror, the suite and the target included. Without `--quiet`: the words of apt would be lost, too. */
  readonly args: readonly string[];
  /** A mirror that was asked for; else the host's own. */
  readonly mirror: string | undefined;
  readonly budget: Budget;
  readonly env?: RunProgramOptions['env'];
}

/** What mirrors say when trying again helps. */
const PASSING =
  /Temporary failure|Could not connect|Connection (?:timed out|reset)|Hash Sum mismatch|50[234] |File has unexpected size/i;

/**
 * Makes or unpacks a Debian tree. Trouble on the way to the mirror is tried again twice; anything else is told at once.
 *
 * @throws {HarnessError} TOOL_FAILED with mmdebstrap's last words; TIMEOUT; INTERRUPTED.
 */
export async function runMmdebstrap(options: MmdebstrapOptions): Promise<void> {
  const mirror = await debianMirrorArguments(options.mirror);
  await pRetry(
    () =>
      runProgram('mmdebstrap', [...options.args, ...mirror], {
        budget: options.budget,
        tailLines: 40,
        ...(options.env === undefined ? {} : { env: options.env }),
      }),
    {
      retries: 2,
      signal: options.budget.signal,
      shouldRetry: ({ error }) =>
        error instanceof HarnessError && error.code === 'TOOL_FAILED' && PASSING.test(error.details ?? ''),
    },
  );
}
