export { askLibvirt } from './facts.js';
export { reapDomains } from './label.js';
export { askLimits } from './limits.js';
export { LibvirtTarget } from './target.js';
export { Virsh } from './virsh.js';
