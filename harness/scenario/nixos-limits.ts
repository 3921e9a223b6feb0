import type { SystemModel } from './model.js';

/** Why there can be no NixOS system of this model. @returns Undefined when there can. */
export function whyNotNixos({ secureBoot }: SystemModel): string | undefined {
  return secureBoot === undefined
    ? undefined
    : "NixOS has no Secure Boot of its own, and none of its boot loaders signs what it installs; lanzaboote is somebody else's module";
}
