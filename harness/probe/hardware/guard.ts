import type { DiskIdentity } from '../../scenario/index.js';
import type { BlockDevice, DisksEvidence } from './disks.js';

/** Whether a disk may be written. */
export type DiskVerdict =
  | {
      readonly device: BlockDevice;
      /** What is on it now, a line each: it is going to be lost. */
      readonly holds: readonly string[];
    }
  /** Why not; sentences, all that apply. */
  | { readonly refusals: readonly string[] };

/**
 * Finds the disk that a host file allows to be written. It has to be the only one with that serial number, of that model and
 * that size to the byte, a whole disk that nothing uses. Anything else is refused: no name is ever guessed.
 *
 * @param name What scenarios call it.
 */
export function findAllowedDisk(name: string, wanted: DiskIdentity, evidence: DisksEvidence): DiskVerdict {
  const all = evidence.disks.flatMap(withChildren);
  // A partition or what is made of it has no serial number of its own.
  const same = all.filter(({ serial, type }) => serial === wanted.serial && type !== 'part');
  const linked =
    wanted.id === undefined ? same : same.filter((each) => idsOf(each, evidence).includes(wanted.id ?? ''));
  const [device, ...others] = linked;
  if (device === undefined) return { refusals: [describeAbsent(name, wanted, { same, evidence })] };
  if (others.length > 0) {
    const paths = linked.map(({ path }) => path).join(', ');
    return {
      refusals: [
        `Several disks have the serial number ${wanted.serial} of "${name}": ${paths}. Say which one by its name in /dev/disk/by-id (\`id\`).`,
      ],
    };
  }
  const refusals = [
    ...checkIdentity(name, wanted, device),
    ...checkKind(device),
    ...withChildren(device).flatMap((each) =>
      (evidence.uses.get(each.name) ?? []).map((use) => `${each.path} is in use: ${use}.`),
    ),
    ...checkZfs(device, evidence),
  ];
  if (refusals.length > 0) return { refusals };
  return { device, holds: withChildren(device).flatMap(describeContent) };
}

function withChildren(device: BlockDevice): BlockDevice[] {
  return [device, ...device.children.flatMap(withChildren)];
}

function idsOf({ path }: BlockDevice, { ids }: DisksEvidence): readonly string[] {
  return ids.get(path) ?? [];
}

function describeAbsent(
  name: string,
  { serial, id }: DiskIdentity,
  { same, evidence }: { readonly same: readonly BlockDevice[]; readonly evidence: DisksEvidence },
): string {
  const found = same.map((each) => `${each.path} (${idsOf(each, evidence).join(', ') || 'no name there'})`);
  if (found.length > 0)
    return `The disk "${name}" has to be /dev/disk/by-id/${id ?? ''}, and the disk with its serial number ${serial} is ${found.join(', ')}.`;
  const others = evidence.disks
    .filter(({ type, sizeBytes }) => type === 'disk' && sizeBytes > 0)
    .map((each) => `${each.path} (${each.serial === '' ? 'no serial number' : each.serial})`);
  return `No disk of this machine has the serial number ${serial} of "${name}". It has: ${others.join(', ') || 'none'}.`;
}

function checkIdentity(name: string, wanted: DiskIdentity, device: BlockDevice): string[] {
  const { path, model, sizeBytes } = device;
  return [
    ...(model === wanted.model
      ? []
      : [
          `${path} has the serial number of "${name}" and is another model: ${model || 'none'}, not ${wanted.model}.`,
        ]),
    ...(sizeBytes === wanted.sizeBytes
      ? []
      : [
          `${path} has the serial number of "${name}" and another size: ${String(sizeBytes)} bytes, not ${String(wanted.sizeBytes)}.`,
        ]),
  ];
}

function checkKind({ path, type, isReadOnly }: BlockDevice): string[] {
  return [
    ...(type === 'disk' ? [] : [`${path} is no disk, but of the kind ${type}.`]),
    ...(isReadOnly ? [`${path} is read-only.`] : []),
  ];
}

function checkZfs(device: BlockDevice, { zfsPools }: DisksEvidence): string[] {
  const members = withChildren(device).filter(({ content }) => content === 'zfs_member');
  if (zfsPools.length === 0) return [];
  return members.map(
    ({ path, label }) =>
      `${path} is a member of the ZFS pool ${label || 'of unknown name'}, and pools are imported (${zfsPools.join(', ')}): export them first.`,
  );
}

function describeContent({ path, type, content, label, sizeBytes }: BlockDevice): string[] {
  if (type === 'disk' && content === '') return [];
  const what = content === '' ? 'nothing that is known' : content;
  return [
    `${path}, ${String(Math.round(sizeBytes / 2 ** 20))} MiB: ${what}${label === '' ? '' : `, "${label}"`}`,
  ];
}
