import { type Budget, HarnessError, lastLines, quote } from '../core/index.js';
import { INSTALLER_DIR } from '../guest/index.js';
import type { Scenario } from '../scenario/index.js';
import type { MachineShell } from '../target/index.js';

const KEY_FILE = `${INSTALLER_DIR}/luks-key`;

/**
 * Gives the LUKS devices that are unlocked by a key file that key, as their owner does once they are made. Nothing
 * happens when there are none.
 *
 * @param shell Of the installer, after the install script.
 * @throws {HarnessError} INSTALL_FAILED when a device takes no key: it is not there, or has another passphrase.
 */
export async function addKeyFile(
  scenario: Scenario,
  shell: MachineShell,
  options: { readonly luksKey: string; readonly passphraseFile: string; readonly budget: Budget },
): Promise<void> {
  const { luksKey, passphraseFile, budget } = options;
  const devices = scenario.system.luks.filter(({ unlock }) => unlock === 'key-file');
  if (devices.length === 0) return;
  await shell.run(`umask 077; cat >${KEY_FILE}`, budget, { input: luksKey });
  for (const { name, device, place } of devices) {
    // Few iterations: nobody attacks a test machine, and every boot pays for them.
    const added = await shell.execute(
      `cryptsetup luksAddKey --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file ${passphraseFile} ${quote(device)} ${KEY_FILE} 2>&1`,
      budget,
    );
    if (added.exitCode === 0) continue;
    throw new HarnessError('INSTALL_FAILED', `The key file could not be added to the LUKS device ${name}`, {
      place,
      details: lastLines(added.stdout.toString('utf8'), 5),
      hint: `The install script has to make ${device} with the passphrase in $LUKS_PASSPHRASE_FILE.`,
    });
  }
}
