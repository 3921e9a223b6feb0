import type { Subvolume } from './evidence.js';

/**
 * @param output `ID 256 gen 9 top level 5 parent_uuid - uuid 0a… path <FS_TREE>/home` a line, as `list -a` prints it.
 * All paths begin at the top level of the file system; those of subvolumes right below the one that was asked about
 * (and only those) stand there without the mark.
 */
export function parseSubvolumes(output: string): Subvolume[] {
  return [...output.matchAll(/^ID (\d+) .*?parent_uuid (\S+)\s+uuid (\S+) path (?:<FS_TREE>\/)?(.*)$/gm)].map(
    ([, id, parent, uuid = '', path = '']) => ({
      id: Number(id),
      uuid,
      path,
      ...(parent === undefined || parent === '-' ? {} : { parentUuid: parent }),
    }),
  );
}
