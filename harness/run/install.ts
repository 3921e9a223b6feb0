import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { HarnessError, lastLines } from '../core/index.js';
import { CLOSE_DISK_SCRIPT, INSTALLER_DIR } from '../guest/index.js';
import { collectInstallEvidence, type InstallEvidence } from '../probe/index.js';
import {
  type HardwareHost,
  nameOfScript,
  promisedSystem,
  type Scenario,
  type Script,
} from '../scenario/index.js';
import type { MachineDisk, MachineShell, Machine } from '../target/index.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import { openInstaller } from './installer.js';
import { makeBoundary } from './boundary.js';
import type { MachineParts } from './machine-parts.js';
import { emptyDisks, findRealDisks, renderRealParameters } from './real-disks.js';
import { addKeyFile } from './unlock.js';

/** Where the installer has the passphrase of all LUKS devices, without a line feed. */
export const PASSPHRASE_FILE = `${INSTALLER_DIR}/luks-passphrase`;
/** Where the install script finds the password of all accounts. */
const PASSWORD_FILE = `${INSTALLER_DIR}/login-password`;

/** Runs the scenario's install script and then puts the system on the disk, as `nixos-install` would. */
export async function installSystem(
  scenario: Scenario & { readonly install: Script },
  parts: MachineParts,
  context: VariantContext,
): Promise<InstallEvidence> {
  const { phases, host, guest, budget, hardware } = context;
  const scale = context.timeScale;
  const system = await phases.run('make-system', () =>
    guest.prepareSystem(scenario, {
      toolbox: host.toolbox,
      workDir: path.dirname(parts.nvramFile),
      luksKey: parts.luksKey,
      budget,
      ...(hardware === undefined || parts.identity === undefined
        ? {}
        : { parameters: renderRealParameters(hardware.host, parts.identity) }),
    }),
  );
  // The namespaces of a controller cannot be plugged in one by one: the installer is booted with them.
  const isFixed = parts.disks.some(({ namespace }) => namespace !== undefined);
  const fixedDisks = isFixed ? parts.disks : undefined;
  const { phase, limitMs } = describeStart(context, isFixed);
  const { machine, shell } = await phases.run(phase, async () => {
    const opened = await openInstaller({
      host,
      installer: guest.installer,
      budget: budget.part('the installer to be ready', limitMs * scale),
      redactor: context.redactor,
      nvramFile: parts.nvramFile,
      ...(fixedDisks === undefined ? {} : { fixedDisks }),
      consoleFile: path.join(context.folder, 'installer-console.log'),
      journalFile: path.join(context.folder, 'installer-journal.log'),
      onConsoleLine: (line) => {
        context.emit({ type: 'console', variant: context.variant, line: line.text });
      },
      onCleanupError: (what, error) => {
        context.emit({ type: 'note', level: 'warn', text: `${what}: ${String(error)}` });
      },
    });
    return opened;
  });
  await using running = machine;
  const names = await phases.run('attach-disks', async () => {
    const part = budget.part('the disks to appear', LIMITS_MS.restoreInstaller * scale);
    if (hardware !== undefined) return claimDisks(scenario, hardware.host, { shell, budget: part });
    const found: string[] = [];
    for (const disk of parts.disks) {
      found.push(
        isFixed ? await findDisk(running, shell, disk, part) : await attachDisk(running, shell, disk, part),
      );
    }
    // Last, so that the scenario's disks get the first names.
    for (const disk of system.disks) await attachDisk(running, shell, disk, part);
    return found;
  });
  await phases.run('install', async () => {
    const part = budget.part('the install script', LIMITS_MS.installScript * scale);
    await givePassphrase(shell, parts, part);
    await shell.run(`umask 077; cat >${PASSWORD_FILE}`, part, { input: parts.password });
    await shell.run(`cat >${INSTALLER_DIR}/install; chmod +x ${INSTALLER_DIR}/install`, part, {
      input: scenario.install.text,
    });
    const tools = (await system.bringTools?.({ machine: running, shell }, part)) ?? {};
    const variables = [
      `DISK=${names[0] ?? ''}`,
      `LUKS=${promisedSystem(scenario).luks[0]?.unlock ?? 'none'}`,
      `LUKS_PASSPHRASE_FILE=${PASSPHRASE_FILE}`,
      `PASSWORD_FILE=${PASSWORD_FILE}`,
      'LC_ALL=C.UTF-8',
      ...Object.entries(tools).map(([name, value]) => `${name}=${value}`),
      ...scenario.disks.map(
        ({ name }, index) => `DISK_${name.toUpperCase().replaceAll('-', '_')}=${names[index] ?? ''}`,
      ),
    ];
    const result = await running.until(
      shell.execute(`cd /; export ${variables.join(' ')}; ${INSTALLER_DIR}/install 2>&1`, part),
      part,
    );
    const output = context.redactor.clean(result.stdout.toString('utf8'));
    await writeFile(path.join(context.folder, 'install.log'), output);
    if (result.exitCode !== 0) {
      throw new HarnessError(
        'INSTALL_FAILED',
        `The install script ${nameOfScript(scenario.install)} ended with exit code ${String(result.exitCode)}`,
        {
          place: scenario.install.place,
          details: lastLines(output, 20),
          hint: 'Its whole output is in install.log. `set -x` in the script shows which command it was.',
        },
      );
    }
    await addKeyFile(scenario, shell, {
      luksKey: parts.luksKey,
      passphraseFile: PASSPHRASE_FILE,
      budget: part,
    });
  });
  const evidence = await phases.run('deploy', async () => {
    const part = budget.part('the system to be copied to the disk', LIMITS_MS.deploy * scale);
    const result = await system.install({ machine: running, shell }, part);
    const output = context.redactor.clean(result.stdout.toString('utf8'));
    await writeFile(path.join(context.folder, 'deploy.log'), output);
    if (result.exitCode !== 0) {
      throw new HarnessError('INSTALL_FAILED', `The system could not be installed: ${lastLines(output, 1)}`, {
        place: scenario.install.place,
        details: lastLines(output, 20),
        hint: 'The install script has to leave the new system mounted below /mnt, the EFI system partition included.',
      });
    }
    await hardware?.noteInstalled(shell, part);
    const collection = collectInstallEvidence(scenario, { boundary: makeBoundary() });
    const collected = collection.parse(
      (await shell.execute('bash -s', part, { input: collection.script })).stdout,
    );
    return collected;
  });
  await phases.run('close-disk', async () => {
    const part = budget.part('the disk to be closed', LIMITS_MS.deploy * scale);
    await shell.run(CLOSE_DISK_SCRIPT, part);
    if (!isFixed) for (const { name } of parts.disks) await running.detachDisk(name, part);
  });
  return evidence;
}

/** How the installer comes to be there. */
function describeStart(
  { hardware }: VariantContext,
  isFixed: boolean,
): { readonly phase: string; readonly limitMs: number } {
  if (hardware !== undefined) return { phase: 'enter-installer', limitMs: LIMITS_MS.realBoot };
  return isFixed
    ? { phase: 'boot-installer', limitMs: LIMITS_MS.coldInstaller }
    : { phase: 'restore-installer', limitMs: LIMITS_MS.restoreInstaller };
}

/** Looks for the disks of a real machine that may be written, and empties them at once. @returns Their names. */
async function claimDisks(
  scenario: Scenario,
  host: HardwareHost,
  installer: { readonly shell: MachineShell; readonly budget: VariantContext['budget'] },
): Promise<string[]> {
  const disks = await findRealDisks(scenario, host, installer);
  await emptyDisks(disks, installer);
  return disks;
}

/** Puts the passphrase where scripts in the installer find it. */
export async function givePassphrase(
  shell: MachineShell,
  { passphrase }: Pick<MachineParts, 'passphrase'>,
  budget: VariantContext['budget'],
): Promise<void> {
  await shell.run(`mkdir -m 0700 -p ${INSTALLER_DIR}; umask 077; cat >${PASSPHRASE_FILE}`, budget, {
    input: passphrase,
  });
}

/** Plugs a disk into a machine and waits until it has a name. @returns That name, `/dev/vda`. */
export async function attachDisk(
  machine: Machine,
  shell: MachineShell,
  disk: MachineDisk,
  budget: VariantContext['budget'],
): Promise<string> {
  await machine.attachDisk(disk, budget);
  return findDisk(machine, shell, disk, budget);
}

/** Waits until a disk has a name. @returns That name, `/dev/vda`. */
async function findDisk(
  machine: Machine,
  shell: MachineShell,
  disk: MachineDisk,
  budget: VariantContext['budget'],
): Promise<string> {
  const link = `/dev/disk/by-id/${diskId(disk)}`;
  return (
    await machine.until(
      shell.run(
        `udevadm wait --settle --timeout=${String(Math.ceil(budget.remainingMs / 1000))} ${link} && readlink -f ${link}`,
        budget,
      ),
      budget,
    )
  ).trim();
}

/** What udev calls a disk by its serial number. */
function diskId({ name, bus, namespace }: MachineDisk): string {
  if (bus === 'virtio') return `virtio-${name}`;
  return namespace === undefined
    ? `nvme-QEMU_NVMe_Ctrl_${name}_1`
    : `nvme-QEMU_NVMe_Ctrl_${namespace.of}_${String(namespace.number)}`;
}
