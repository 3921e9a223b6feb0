export { makeNew, type NewOptions } from './make-new.js';
export { DISKS, LUKS, ROOTS, STAGES } from './answers.js';
