export { collectDisks, type BlockDevice, type DisksEvidence } from './disks.js';
export { findAllowedDisk, type DiskVerdict } from './guard.js';
