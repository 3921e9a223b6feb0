import { HarnessError } from '../core/index.js';
import { checkImage, collectImageEvidence, type Finding, type InstallEvidence } from '../probe/index.js';
import type { Scenario } from '../scenario/index.js';
import path from 'node:path';
import { makeBoundary } from './boundary.js';
import type { VariantContext } from './context.js';
import { lookInInspector } from './inspect.js';
import type { ImageScenario } from './guest.js';
import { installSystem } from './install.js';
import type { MachineParts } from './machine-parts.js';

export interface ProvidedDisk {
  readonly evidence: InstallEvidence;
  /** What an image promises of itself; nothing of an installed system, which is judged when it runs. */
  readonly findings: readonly Finding[];
}

/** Makes the empty disk bootable in the scenario's way: with its script in the installer, or with an image. */
export async function provideDisk(
  scenario: Scenario,
  parts: MachineParts,
  context: VariantContext,
): Promise<ProvidedDisk> {
  const { install, system } = scenario;
  const { image } = system;
  if (image !== undefined) return writeImage({ ...scenario, system: { ...system, image } }, parts, context);
  if (install !== undefined)
    return { evidence: await installSystem({ ...scenario, install }, parts, context), findings: [] };
  throw new HarnessError(
    'INTERNAL',
    'Internal error: the scenario says neither how to install nor which image',
  );
}

async function writeImage(
  scenario: ImageScenario,
  parts: MachineParts,
  context: VariantContext,
): Promise<ProvidedDisk> {
  const { phases, budget } = context;
  const { images } = context.guest;
  const { toolbox } = context.host;
  const [disk] = parts.disks;
  const diskMiB = scenario.disks[0]?.sizeMiB;
  if (disk === undefined || diskMiB === undefined || images === undefined)
    throw new HarnessError('INTERNAL', 'Internal error: the scenario has no disk, or the guest no images');
  const workDir = path.dirname(parts.nvramFile);
  await phases.run('make-image', () =>
    images.write(scenario, { toolbox, workDir, luksKey: parts.luksKey, budget, file: disk.file, diskMiB }),
  );
  const evidence = await phases.run('inspect-image', () =>
    lookInInspector(parts, context, {
      scenario,
      label: 'the image to be inspected',
      collect: () => collectImageEvidence(scenario, makeBoundary()),
    }),
  );
  const brought = await images.listForeignOwners(scenario, budget);
  return { evidence, findings: checkImage(scenario, evidence, brought) };
}
