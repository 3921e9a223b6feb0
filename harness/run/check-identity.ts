import { HarnessError } from '../core/index.js';
import type { BootEvidence } from '../probe/index.js';

/**
 * The machine that answers is the one that was started, in a boot that was not there before.
 *
 * @param expected.nonce What the machine was given at its power-on.
 * @param expected.bootBefore The boot id of the boot before; undefined for the first.
 * @throws {HarnessError} WRONG_MACHINE
 */
export function checkIdentity(
  { nonce, bootId }: Pick<BootEvidence, 'nonce' | 'bootId'>,
  expected: { readonly nonce: string; readonly bootBefore: string | undefined },
): void {
  if (nonce !== expected.nonce) {
    throw new HarnessError(
      'WRONG_MACHINE',
      `The machine that answers is not the one that was started: it holds the nonce ${nonce}, not ${expected.nonce}`,
    );
  }
  if (expected.bootBefore === bootId) {
    throw new HarnessError(
      'WRONG_MACHINE',
      `The machine was to boot again, but its boot id is still ${bootId}`,
    );
  }
}
