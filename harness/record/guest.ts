/** What records call a guest that is NixOS itself, in one of its lanes. Any other has only its shape. */
const REAL_NIXOS = /^nixos(, lane .*)?$/;

/** Whether a guest is called NixOS. */
export function isRealNixos(guest: string): boolean {
  return REAL_NIXOS.test(guest);
}
