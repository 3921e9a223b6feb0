import { randomBytes } from 'node:crypto';

/** Names as `newRunId` makes them; their order is that of time. */
export const RUN_NAME = /^\d{4}-\d{2}-\d{2}-\d{6}-[0-9a-f]{4}$/;

/** Name of a run and of its folder: when it began, and a few digits that no other has. */
export function newRunId(): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '').replace('T', '-');
  return `${time}-${randomBytes(2).toString('hex')}`;
}

/** The folder of a variant below that of its run. @param id `btrfs-luks-rollback[disk=nvme]` */
export function folderOfVariant(id: string): string {
  return id.replaceAll(/[^A-Za-z0-9=._-]+/g, '-').replace(/-$/, '');
}
