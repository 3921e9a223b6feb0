export { makeCpio, type Tree } from './cpio.js';
export { listForeignOwners, makeDiskImage } from './disk-image.js';
export { imageNeeds, type ImageNeeds } from './image-needs.js';
export {
  buildImages,
  type BuildImagesOptions,
  type GuestImages,
  type InstallerImages,
  readSources,
} from './images.js';
export { CLOSE_DISK_SCRIPT, INSTALLER_DIR, renderInstallScript } from './install-script.js';
export { makePayload, type Payload } from './payload.js';
export { hashStorePath, renderRegistration, type StorePath, writeTree } from './store.js';
export { makeRollbackTree, makeStageOneTree, makeSystemTree, stageOneImage } from './system-tree.js';
