import { copyFile } from 'node:fs/promises';
import path from 'node:path';

import { HOST_KEY_PARAMETER } from '../guest/index.js';
import type { Scenario } from '../scenario/index.js';
import type { MachineDisk } from '../target/index.js';
import type { VariantContext } from './context.js';
import { makeDisks } from './make-disks.js';
import { type MachineFaults, NO_FAULTS } from './fault-state.js';
import { NVRAM_NAME, TPM_NAME } from './kept-machine.js';
import { makeIdentity, type MachineIdentity } from './identity.js';
import type { Secrets } from './secrets.js';

/** The machine's permanent parts: they stay when its power is off. */
export interface MachineParts extends Secrets {
  readonly disks: readonly MachineDisk[];
  readonly nvramFile: string;
  /** What the TPM keeps; absent: the machine has none. */
  readonly tpmDir?: string;
  /** What is wrong with the machine on purpose. */
  readonly faults: MachineFaults;
  /** What a real machine is recognised by; a virtual one is told anew at each power-on. */
  readonly identity?: MachineIdentity;
}

/** Makes empty disks and a fresh variable store in a work folder. */
export async function makeMachineParts(
  scenario: Scenario,
  context: VariantContext,
  options: { readonly workDir: string; readonly secrets: Secrets },
): Promise<MachineParts> {
  const { workDir, secrets } = options;
  const { hardware } = context;
  if (hardware !== undefined) {
    const identity = makeIdentity();
    context.redactor.addPattern(HOST_KEY_PARAMETER);
    return { disks: [], nvramFile: path.join(workDir, NVRAM_NAME), faults: NO_FAULTS, identity, ...secrets };
  }
  const disks = await makeDisks(scenario, context, workDir);
  const nvramFile = path.join(workDir, NVRAM_NAME);
  await copyFile(context.host.toolbox.firmwareVars, nvramFile);
  const hasTpm = scenario.system.luks.some(({ unlock }) => unlock === 'tpm2');
  return {
    disks,
    nvramFile,
    faults: NO_FAULTS,
    ...(hasTpm ? { tpmDir: path.join(workDir, TPM_NAME) } : {}),
    ...secrets,
  };
}
