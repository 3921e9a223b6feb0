export { type HostDescription, hostDescription } from './description.js';
export { type OwnInstall } from './install-script.js';
export { buildOwnHost, type BuiltHost, describeOwnHost, findOwnHost, type OwnHost } from './own-host.js';
export { type HostScenario, renderHostScenario } from './render-scenario.js';
