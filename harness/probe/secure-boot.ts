import type { SecureBootPromise } from '../scenario/index.js';
import type { BootEvidence } from './evidence.js';
import type { BootContext, Finding } from './finding.js';

/** Vendor of the variables that the UEFI specification defines. */
const GLOBAL_VARIABLE = '8be4df61-93ca-11d2-aa0d-00e098032b8c';

/**
 * Prints lines such as `SecureBoot 1`; nothing stands behind the name of a variable that is not there. In a variable's
 * file, four bytes of attributes are before the value.
 */
export const SECURE_BOOT_COMMAND = `for name in SecureBoot SetupMode; do echo "$name" $(od -An -tu1 -j4 -N1 "/sys/firmware/efi/efivars/$name-${GLOBAL_VARIABLE}" 2>/dev/null); done; echo lockdown "$(cat /sys/kernel/security/lockdown 2>/dev/null)"`;

/** Reads what `SECURE_BOOT_COMMAND` prints. */
export function parseSecureBoot(output: string): BootEvidence['secureBoot'] {
  const value = (name: string): string => new RegExp(`^${name} (.+)$`, 'm').exec(output)?.[1]?.trim() ?? '';
  const enabled = value('SecureBoot');
  const setupMode = value('SetupMode');
  return {
    ...(enabled === '' ? {} : { enabled: enabled === '1' }),
    ...(setupMode === '' ? {} : { setupMode: setupMode === '1' }),
    lockdown: value('lockdown'),
  };
}

/** The firmware checks signatures, and nobody but the owner of its keys can change whose. */
export function checkSecureBoot(
  _promise: SecureBootPromise,
  context: BootContext,
): Omit<Finding, 'promise' | 'boot'> {
  const { enabled, setupMode, lockdown } = context.evidence.secureBoot;
  const show = (name: string, isSet: boolean | undefined): string =>
    isSet === undefined ? `no variable ${name}` : `${name}=${isSet ? '1' : '0'}`;
  const kernel = lockdown === '' ? '' : `, the kernel's lockdown: ${lockdown}`;
  const found = `${show('SecureBoot', enabled)}, ${show('SetupMode', setupMode)}${kernel}`;
  if (enabled === true && setupMode === false) return { status: 'pass', found };
  return {
    status: 'fail',
    expected: 'the variables of the firmware say SecureBoot=1 and SetupMode=0',
    found,
    cause:
      setupMode === true
        ? 'The firmware has no keys, or has lost them: it is in setup mode, and starts whatever it finds.'
        : enabled === false
          ? 'The firmware has keys, and checking is switched off in its menu.'
          : 'The system was not started by a firmware that knows Secure Boot, or efivarfs is not mounted.',
  };
}
