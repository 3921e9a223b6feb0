import path from 'node:path';

import { HarnessError } from '../core/index.js';
import type { GuestChoice } from '../run/index.js';

export interface GuestOptions {
  readonly guest: 'debian' | 'nixos';
  /** `iso`, `netboot`, or the path of an ISO image. */
  readonly medium?: string;
  /** Default nix/ of this checkout. */
  readonly systemsFlake?: string;
  /** Which NixOS and which module keeps the state; default `main`. */
  readonly lane?: string;
  /** `.#laptop`: a host of somebody's own, which can only be NixOS. */
  readonly flake?: string;
}

/**
 * The guest that was asked for.
 *
 * @throws {HarnessError} USAGE when something is asked of the guest debian that only NixOS has.
 */
export function chooseGuest({ guest, medium, systemsFlake, lane, flake }: GuestOptions): GuestChoice {
  if (guest === 'debian' && flake === undefined) {
    if (medium !== undefined || systemsFlake !== undefined || lane !== undefined)
      throw new HarnessError('USAGE', '--medium, --systems-flake and --lane are for --guest nixos');
    return { kind: 'debian' };
  }
  if (flake !== undefined && lane !== undefined)
    throw new HarnessError('USAGE', '--lane is for scenarios: a host of --flake brings its own NixOS');
  return {
    kind: 'nixos',
    medium: readMedium(medium),
    ...(systemsFlake === undefined ? {} : { systemsFlake }),
    ...(lane === undefined ? {} : { lane }),
  };
}

function readMedium(text: string | undefined): Extract<GuestChoice, { kind: 'nixos' }>['medium'] {
  if (text === undefined || text === 'iso') return 'iso';
  if (text === 'netboot') return 'netboot';
  if (!text.endsWith('.iso'))
    throw new HarnessError('USAGE', `--medium takes iso, netboot or the path of an ISO image, not "${text}"`);
  return { officialIso: path.resolve(text) };
}

/** The same, as words of a command line. */
export function renderGuest({ guest, medium, systemsFlake, lane, flake }: GuestOptions): string[] {
  if (guest === 'debian' && flake === undefined) return [];
  return [
    flake === undefined ? '--guest nixos' : `--flake ${flake}`,
    ...(medium === undefined ? [] : [`--medium ${medium}`]),
    ...(systemsFlake === undefined ? [] : [`--systems-flake ${systemsFlake}`]),
    ...(lane === undefined ? [] : [`--lane ${lane}`]),
  ];
}
