export {
  buildIso,
  buildNetboot,
  buildSystems,
  isRefusedAsDeclared,
  nameSystem,
  ownFlake,
  readGuestName,
} from './build-systems.js';
export { type Contract, makeContract, type MakeContractOptions } from './contract/index.js';
export { copyClosure, INSTALLER_STORE_SERVER, STORE_SERVER } from './copy-closure.js';
export { makeNixDocument } from './document.js';
export { evaluateMapping, nixEnvironment } from './evaluate.js';
export * from './host/index.js';
export { openHostNix, type HostNix } from './host-nix.js';
export { nixosImageContent } from './image-content.js';
export { type IsoKernel, openOfficialIso } from './official-iso.js';
export { GOLDEN_DIR, summarizeMapping } from './golden.js';
export { loadAllScenarios, renderNixDocument, writeFolder, writeNixDocuments } from './write.js';
