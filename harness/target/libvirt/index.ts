export { askCapacity, askLibvirt, type HostCapacity } from './facts.js';
export { LibvirtHost, parseSshAddress } from './host.js';
export { reapDomains } from './reap.js';
export { askLimits } from './limits.js';
export { LibvirtTarget } from './target.js';
export { Virsh } from './virsh.js';
