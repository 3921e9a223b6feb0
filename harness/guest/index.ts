export { makeInstallerImage, renderInstallerCommandLine } from './installer-image.js';
export { HOST_KEY_PARAMETER, renderNetworkParameters } from './network-credentials.js';
export { makeCpio, type Tree } from './cpio.js';
export { debianImageContent, listForeignOwners } from './debian-image.js';
export { type EspFile, type ImageContent, makeDiskImage } from './disk-image.js';
export { imageNeeds, type ImageNeeds } from './image-needs.js';
export {
  buildImages,
  type BuildImagesOptions,
  type GuestImages,
  type InstallerImages,
  readSources,
} from './images.js';
export { REGISTRATION } from './first-boot.js';
export {
  CLOSE_DISK_SCRIPT,
  ENTRY_FILE,
  INSTALLER_DIR,
  LOADER_CONF,
  renderInstallScript,
} from './install-script.js';
export { makePayload, type Payload } from './payload.js';
export { hashStorePath, renderRegistration, type StorePath, writeTree } from './store.js';
export { makeRollbackTree, makeStageOneTree, makeSystemTree, stageOneImage } from './system-tree.js';
