import { type Budget, HarnessError, lastLines, quote } from '../core/index.js';
import { INSTALLER_DIR } from '../guest/index.js';
import { type LuksDevice, promisedSystem, type Scenario } from '../scenario/index.js';
import type { MachineShell } from '../target/index.js';

/** In the booted system: in memory, and only for the moment of the enrolment. */
const ENROL_FILE = '/run/imperm-luks-passphrase';
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
  const devices = promisedSystem(scenario).luks.filter(({ unlock }) => unlock === 'key-file');
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

/**
 * Gives the machine's TPM a key slot of LUKS devices, bound to the state of Secure Boot (PCR 7), as their owner does in
 * the first booted system.
 *
 * @param shell Of the booted system.
 * @throws {HarnessError} STEP_FAILED with the words of systemd-cryptenroll.
 */
export async function enrolTpm2(
  devices: readonly LuksDevice[],
  shell: MachineShell,
  options: { readonly passphrase: string; readonly budget: Budget },
): Promise<void> {
  for (const { name, device, place } of devices) {
    const enrolled = await shell.execute(
      `umask 077; trap 'rm -f ${ENROL_FILE}' EXIT; cat >${ENROL_FILE} && systemd-cryptenroll --unlock-key-file=${ENROL_FILE} --tpm2-device=auto --tpm2-pcrs=7 ${quote(device)} 2>&1`,
      options.budget,
      { input: options.passphrase },
    );
    if (enrolled.exitCode === 0) continue;
    throw new HarnessError('STEP_FAILED', `The TPM could not be enrolled for the LUKS device ${name}`, {
      place,
      details: lastLines(enrolled.stdout.toString('utf8'), 10),
      hint: `${device} has to be a LUKS2 device with the passphrase in $LUKS_PASSPHRASE_FILE.`,
    });
  }
}
