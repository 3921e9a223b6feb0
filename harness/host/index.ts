export { wordsAsRoot } from './as-root.js';
export { readDistro, type Distro, type DistroFamily } from './distro.js';
export { doctorExitCode, renderDoctor, type DoctorCheck } from './doctor-check.js';
export { runGenericChecks, type GenericCheckOptions } from './doctor.js';
export { runMmdebstrap, type MmdebstrapOptions } from './mmdebstrap.js';
export { findMissing, hostNeeds, type HostNeed } from './needs.js';
export { ensurePackages, installCommand, type EnsurePackagesOptions } from './packages.js';
export { openToolbox, type OpenToolboxOptions, type ToolCommand, type Toolbox } from './toolbox.js';
export { readAvailableMemory } from './memory.js';
