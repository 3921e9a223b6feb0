export { askHardware } from './facts.js';
export { connectHost } from './connect.js';
export { hardwareLimits } from './limits.js';
export { type AskedHost, RealMachine } from './real-machine.js';
export { HardwareTarget, realAccelerator } from './target.js';
