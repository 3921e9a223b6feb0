import { isAtOrBelow, type Scenario, type ScenarioPromise } from '../scenario/index.js';
import type { CanaryPlan } from './canary.js';
import type {
  BootEvidence,
  DiskEvidence,
  InstallEvidence,
  Mount,
  PlantedEvidence,
  Subvolume,
} from './evidence.js';

/** What became of a promise at one look. */
export interface Finding {
  readonly promise: ScenarioPromise;
  readonly boot?: number;
  readonly status: 'pass' | 'fail';
  /** For a pass a short proof, for a failure the facts. */
  readonly found: string;
  readonly expected?: string;
  /** Likely cause, in words a NixOS user understands. */
  readonly cause?: string;
  readonly evidence?: readonly string[];
}

/** How a login at a terminal went. */
export interface LoginEvidence {
  readonly acceptsRight: boolean;
  readonly acceptsWrong: boolean;
  /** What the terminals showed meanwhile. */
  readonly transcript: readonly string[];
}

/** What the harness did with a booted system, and what came of it. */
export interface SessionEvidence {
  /** How often stage 1 asked for a passphrase. */
  readonly prompts: number;
  /** Scripts of the scenario, by the id of the promise. */
  readonly scripts: ReadonlyMap<string, { readonly exitCode: number; readonly output: string }>;
}

/** Everything known when a boot is judged. */
export interface BootContext {
  readonly scenario: Scenario;
  readonly evidence: BootEvidence;
  readonly session: SessionEvidence;
  /** How the machine came to boot. */
  readonly how: 'power-on' | 'reboot' | 'power-cut';
  /** Evidence of the boot before; absent for the first. */
  readonly previous?: BootEvidence;
  /** What earlier boots planted, oldest first. */
  readonly planted: readonly { readonly plan: CanaryPlan; readonly evidence: PlantedEvidence }[];
  /** Subvolumes right after the install. */
  readonly installed: readonly Subvolume[];
}

export interface DiskContext {
  readonly scenario: Scenario;
  readonly evidence: DiskEvidence;
  readonly installed: Pick<InstallEvidence, 'headers' | 'image'>;
  readonly planted: BootContext['planted'];
  /** The machine never came up in the last boot, so its power was cut. */
  readonly wasCut: boolean;
}

/** The mount that holds a path; of several at one place the last, which is the visible one. */
export function findMount(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (
      isAtOrBelow(path, mount.mountPoint) &&
      (best === undefined || mount.mountPoint.length >= best.mountPoint.length)
    )
      best = mount;
  }
  return best;
}

/** "1 file", "2 files" */
export function count(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? '' : 's'}`;
}
