import type { TargetLimits } from '../../scenario/index.js';
import type { AskedHost } from './real-machine.js';

/** What a real machine cannot do of that which a scenario can ask for, and why. */
export function hardwareLimits({ host, facts }: AskedHost): TargetLimits {
  const where = `the machine of ${host.file}`;
  return {
    'nixos-guest': `${where} takes the guest debian only: NixOS on real machines is not supported yet`,
    image: `${where} is installed by its installer: writing disk images to real machines is not supported yet`,
    hibernation: `${where} has one real disk, and imperm lets a sleeping system go on on copies only: what a wrong rollback would destroy must not be looked at afterwards`,
    'virtual-disks': `the disks of ${where} are what they are; disk=nvme is the variant for a real machine`,
    'large-sectors': `${where} has disks with sectors that nobody chooses`,
    'untouched-disks': `on ${where} imperm writes no data of others to a disk, only to look whether it stays`,
    faults: `${where} is a real one: imperm puts faults only into virtual machines`,
    'secure-boot': `${where} keeps its own keys of Secure Boot: imperm enrols none in a real firmware`,
    ...(facts.hasTpm ? {} : { tpm: `${where} shows no TPM` }),
    ...(host.console === undefined
      ? {
          console: `${where} has no \`console\` in its host file, and nobody else can type a passphrase`,
        }
      : {}),
    ...(host.power === undefined
      ? { 'power-cut': `${where} has no \`power\` in its host file, so nobody can cut its power` }
      : {}),
  };
}
