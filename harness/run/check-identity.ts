import { HarnessError } from '../core/index.js';
import type { BootEvidence } from '../probe/index.js';
import { isRealNixos } from '../record/index.js';

/**
 * The machine that answers is the one that was started, in a boot that was not there before, and what is called NixOS in
 * reports says so itself.
 *
 * @param expected.nonce What the machine was given at its power-on.
 * @param expected.bootBefore The boot id of the boot before; undefined for the first.
 * @param expected.guest What reports call it.
 * @throws {HarnessError} WRONG_MACHINE
 */
export function checkIdentity(
  { nonce, bootId, os }: Pick<BootEvidence, 'nonce' | 'bootId' | 'os'>,
  expected: { readonly nonce: string; readonly bootBefore: string | undefined; readonly guest: string },
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
  if (isRealNixos(expected.guest) && os !== 'nixos') {
    throw new HarnessError(
      'WRONG_MACHINE',
      `The guest of this run is called ${expected.guest}, and the machine that answers says in /etc/os-release that it is ${os === '' ? 'nothing at all' : `"${os}"`}`,
      { hint: 'A flake that makes something else has to say so in `lib.guest`.' },
    );
  }
}
