import { z } from 'zod';

import { quote } from '../core/index.js';
import type { BlockDevice } from './evidence.js';
import type { Section } from './sections.js';

export const BLOCKS = 'blocks';

const text = z.string().nullable();
const listed = z.object({
  blockdevices: z.array(
    z.object({
      kname: z.string(),
      pkname: text,
      path: z.string(),
      type: z.string(),
      fstype: text,
      partlabel: text,
      size: z.coerce.number(),
    }),
  ),
});

/** @param device The disk, `/dev/vda`. What is opened of it is listed, too. */
export function blocksSection(device: string): Section {
  return {
    name: BLOCKS,
    command: `lsblk --json --list --bytes --output KNAME,PKNAME,PATH,TYPE,FSTYPE,PARTLABEL,SIZE ${quote(device)}`,
  };
}

/** @param output Of lsblk. @returns Nothing when it is no list of it: it is for a picture, and proves nothing. */
export function readBlocks(output: string): readonly BlockDevice[] {
  let value: unknown;
  try {
    value = JSON.parse(output);
  } catch {
    return [];
  }
  const { data } = listed.safeParse(value);
  return (data?.blockdevices ?? []).map(({ kname, pkname, path, type, fstype, partlabel, size }) => ({
    kernelName: kname,
    parent: pkname ?? '',
    path,
    type,
    fsType: fstype ?? '',
    label: partlabel ?? '',
    sizeBytes: size,
  }));
}
