import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, HarnessError } from '../../core/index.js';
import type { TargetLimits } from '../../scenario/index.js';
import type { MachineSpec } from '../machine-spec.js';

import { renderDomain } from './domain-xml.js';
import type { LibvirtFacts } from './facts.js';
import { LibvirtHost } from './host.js';
import type { Virsh } from './virsh.js';

/** A machine that is only described, never started. */
const SAMPLE: MachineSpec = { memoryMiB: 1024, boot: { from: 'disk' }, disks: [], nonce: 'sample' };

/**
 * What libvirt cannot do for a machine, in its own words: each feature is described to it, and it translates the
 * description for QEMU or says why it does not.
 *
 * @param options.folder For a file that libvirt reads.
 */
export async function askLimits(
  virsh: Virsh,
  facts: LibvirtFacts,
  { folder, budget }: { readonly folder: string; readonly budget: Budget },
): Promise<TargetLimits> {
  const file = path.join(folder, 'sample.xml');
  const who = `libvirt ${facts.version} with QEMU ${facts.qemuVersion}`;
  const ask = async (spec: Partial<MachineSpec>, tpmSocket?: string): Promise<string | undefined> => {
    const xml = renderDomain(
      { ...SAMPLE, ...spec },
      {
        identity: { name: 'imperm-sample', uuid: '00000000-0000-4000-8000-000000000001' },
        label: { run: '', owner: '', host: '', user: '' },
        accelerator: { kind: 'tcg', reason: '', timeScale: 1 },
        securityModels: facts.securityModels,
        fileOwner: facts.fileOwner,
        firmwareCode: '/firmware',
        nvramFile: '/variables',
        lines: { serial: '/serial', journal: '/journal', agent: '/agent' },
        firmwareStrings: [],
        ...(tpmSocket === undefined ? {} : { tpmSocket }),
      },
    );
    await writeFile(file, xml);
    try {
      await virsh.run(['domxml-to-native', 'qemu-argv', file], budget);
      return undefined;
    } catch (error) {
      if (!(error instanceof HarnessError) || error.code !== 'TOOL_FAILED') throw error;
      return `${who} refuses: ${error.message.replace(/^libvirt refused [\w-]+: /, '')}`;
    }
  };
  const { isRemote } = new LibvirtHost(virsh.uri);
  const plain = await ask({});
  if (plain !== undefined)
    throw new HarnessError('HOST_UNFIT', `libvirt at ${virsh.uri} cannot run these machines: ${plain}`);
  const tpm = await ask({}, '/tpm');
  const reasons = {
    // imperm does not know yet how a newer libvirt wants them described.
    nvme: `${who} has no NVMe disks that imperm can describe to it (it has ${facts.diskBuses.join(', ')})`,
    // It looks for programs of its own, although it is to use our TPM.
    tpm: isRemote
      ? `${who} is on another host: a TPM hands QEMU open files, which ssh cannot`
      : tpm === undefined
        ? undefined
        : `${tpm} (libvirt wants swtpm and swtpm-tools on its host)`,
    'secure-boot': await ask({ secureBoot: true }),
    'large-sectors': await ask({
      disks: [{ name: 'main', bus: 'virtio', sectorBytes: 4096, file: '/disk', format: 'qcow2' }],
    }),
  };
  return Object.fromEntries(Object.entries(reasons).filter(([, reason]) => reason !== undefined));
}
