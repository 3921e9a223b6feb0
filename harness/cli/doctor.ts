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
  type Toolbox,
} from '../host/index.js';
import { type Accelerator, chooseAccelerator } from '../target/index.js';
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
    // Without its tools nothing can be said of machines; what is missing has its cure in the list already.
    const checks =
      missing.length > 0 ? generic : [...generic, ...(await checkMachines(options, environment, budget))];
    const color = process.stdout.isTTY && !environment.noColor;
    process.stdout.write(`${renderDoctor(checks, { color })}\n`);
    return doctorExitCode(checks);
  });
}

/** What needs QEMU to be known. */
async function checkMachines(
  options: HostOptions,
  environment: Environment,
  budget: Budget,
): Promise<DoctorCheck[]> {
  const { cacheDir, workDir, debianMirror } = environment;
  try {
    const toolbox = await openToolbox({
      kind: options.tools,
      suite: environment.toolsSuite,
      cacheDir,
      mirror: debianMirror,
      budget,
      onBuild: () => process.stderr.write('imperm: unpacking QEMU, firmware and tools (once)\n'),
    });
    const whose = toolbox.kind === 'private' ? "imperm's own" : "the host's";
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
      await checkTool(toolbox, budget, { program: 'nix-store', title: 'Nix', status: 'fail' }),
      await checkTool(toolbox, budget, { program: 'btrfs', title: 'btrfs', status: 'warn' }),
      await checkTool(toolbox, budget, { program: 'swtpm', title: 'Software TPM', status: 'warn' }),
      describeAccelerator(accelerator),
    ];
  } catch (thrown) {
    const { message, hint } = asHarnessError(thrown);
    const cure = hint === undefined ? {} : { cure: hint };
    return [{ id: 'qemu', title: 'QEMU', status: 'fail', found: message, ...cure }];
  }
}

/** @param tool.status What it means when the tool does not work: not every layout needs every tool. */
async function checkTool(
  toolbox: Toolbox,
  budget: Budget,
  tool: { readonly program: string; readonly title: string; readonly status: 'warn' | 'fail' },
): Promise<DoctorCheck> {
  const { program, title } = tool;
  try {
    const version = (await toolbox.run(program, ['--version'], budget)).split('\n')[0]?.trim() ?? '';
    return { id: program, title, status: 'ok', found: version };
  } catch (thrown) {
    budget.check();
    const found = `${program} does not work: ${asHarnessError(thrown).message}`;
    const cure = 'Run without `--tools host`, or install it.';
    return { id: program, title, status: tool.status, found, cure };
  }
}

function describeAccelerator({ kind, reason, timeScale }: Accelerator): DoctorCheck {
  const shared = { id: 'accelerator', title: 'Accelerator' };
  if (kind === 'kvm') return { ...shared, status: 'ok', found: `KVM. ${reason}` };
  return {
    ...shared,
    status: 'warn',
    found: `TCG (emulation), every time limit × ${String(timeScale)}. ${reason}`,
    cure: 'Everything works, about ten times slower. KVM needs a host with virtualisation switched on, and inside a virtual machine nested virtualisation.',
  };
}
