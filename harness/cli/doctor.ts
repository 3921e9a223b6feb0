import { access } from 'node:fs/promises';

import { asHarnessError, Budget, type Environment } from '../core/index.js';
import {
  type DoctorCheck,
  doctorExitCode,
  findMissing,
  hostNeeds,
  openToolbox,
  renderDoctor,
  runGenericChecks,
} from '../host/index.js';
import { chooseAccelerator } from '../target/index.js';
import type { HostOptions } from './options.js';
import { withSignals } from './signals.js';

const LIMIT_MS = 300_000;

/** Looks at the host and tells what it has and lacks. @returns 69 when no run is possible. */
export function doctor(options: HostOptions, environment: Environment): Promise<number> {
  return withSignals(async (signal) => {
    const budget = Budget.start('the look at this host', LIMIT_MS, signal);
    const { cacheDir, workDir } = environment;
    const imagesBuilt = await access(cacheDir).then(
      () => true,
      () => false,
    );
    const generic = await runGenericChecks({ cacheDir, workDir, imagesBuilt, budget });
    const missing = await findMissing(hostNeeds(process.getuid?.() === 0));
    const checks =
      missing.length > 0 ? generic : [...generic, ...(await checkMachines(options, environment, budget))];
    process.stdout.write(
      `${renderDoctor(checks, { color: process.stdout.isTTY && !environment.noColor })}\n`,
    );
    return doctorExitCode(checks);
  });
}

/** What needs QEMU to be known. */
async function checkMachines(
  options: HostOptions,
  environment: Environment,
  budget: Budget,
): Promise<DoctorCheck[]> {
  const { cacheDir, workDir } = environment;
  try {
    const toolbox = await openToolbox({
      kind: options.tools,
      cacheDir,
      mirror: environment.debianMirror,
      budget,
      onBuild: () => process.stderr.write('imperm: unpacking QEMU, firmware and tools (once)\n'),
    });
    const whose = toolbox.kind === 'private' ? "imperm's own" : "the host's";
    const versionOf = async (program: string, args: string[]): Promise<string> =>
      (await toolbox.run(program, args, budget)).split('\n')[0]?.trim() ?? '';
    const accelerator = await chooseAccelerator({
      wanted: options.accel,
      toolbox,
      cacheDir,
      workDir,
      budget,
    });
    return [
      { id: 'qemu', title: 'QEMU', status: 'ok', found: `${toolbox.qemuVersion}, ${whose}` },
      { id: 'firmware', title: 'Firmware', status: 'ok', found: toolbox.firmwareVersion },
      {
        id: 'image-tools',
        title: 'Image tools',
        status: 'ok',
        found: [await versionOf('btrfs', ['--version']), await versionOf('nix-store', ['--version'])].join(
          ', ',
        ),
      },
      { id: 'swtpm', title: 'Software TPM', status: 'ok', found: await versionOf('swtpm', ['--version']) },
      accelerator.kind === 'kvm'
        ? { id: 'accelerator', title: 'Accelerator', status: 'ok', found: `KVM. ${accelerator.reason}` }
        : {
            id: 'accelerator',
            title: 'Accelerator',
            status: 'warn',
            found: `TCG (emulation), every time limit × ${String(accelerator.timeScale)}. ${accelerator.reason}`,
            cure: 'Everything works, about ten times slower. KVM needs a host with virtualisation switched on, and inside a virtual machine nested virtualisation.',
          },
    ];
  } catch (thrown) {
    const error = asHarnessError(thrown);
    return [
      {
        id: 'qemu',
        title: 'QEMU',
        status: 'fail',
        found: error.message,
        ...(error.hint === undefined ? {} : { cure: error.hint }),
      },
    ];
  }
}
