export { debianMirrorArguments } from './mirror.js';
export { openToolbox, type OpenToolboxOptions, type ToolCommand, type Toolbox } from './toolbox.js';
