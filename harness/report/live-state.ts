import type { CheckRecord, RunEvent } from '../record/index.js';
import { makeOneLine } from './text.js';
import { namePhase } from './words.js';

/** Something under way: a variant, or the set-up before the variants. */
export interface Activity {
  /** The variant's id; `set-up` for what belongs to the run. */
  readonly name: string;
  readonly startAtMs: number;
  readonly checks: CheckRecord[];
  boots: number;
  phase?: { readonly name: string; readonly startAtMs: number };
  /** The last line of the console, in one printable line. */
  lastLine: string;
  /** When the machine was last heard, once a silence was announced. */
  silentSinceMs?: number;
}

const SETUP = 'set-up';

/** Follows the events and knows what is under way. */
export class LiveState {
  readonly #activities = new Map<string, Activity>();

  /** In the order of their start. */
  get activities(): readonly Activity[] {
    return [...this.#activities.values()];
  }

  /** @returns The activity that the event belongs to; at the end of a variant for the last time. */
  receive(event: RunEvent, atMs: number): Activity | undefined {
    const name = ('variant' in event ? event.variant : undefined) ?? SETUP;
    const activity = this.#activities.get(name);
    switch (event.type) {
      case 'variant-start':
        return this.#begin(name, atMs);
      case 'phase-start': {
        const current = activity ?? this.#begin(name, atMs);
        current.phase = { name: describePhase(event.name, event.boot), startAtMs: atMs };
        return current;
      }
      case 'phase-end':
        if (name === SETUP) this.#activities.delete(name);
        else delete activity?.phase;
        return activity;
      case 'console':
        if (activity !== undefined) {
          activity.lastLine = makeOneLine(event.line);
          delete activity.silentSinceMs;
        }
        return activity;
      case 'silence':
        if (activity !== undefined) activity.silentSinceMs = atMs - event.seconds * 1000;
        return activity;
      case 'boot':
        if (activity !== undefined) activity.boots = Math.max(activity.boots, event.boot.number);
        return activity;
      case 'check':
        activity?.checks.push(event.check);
        return activity;
      case 'variant-end':
        this.#activities.delete(name);
        return activity;
      default:
        return undefined;
    }
  }

  #begin(name: string, atMs: number): Activity {
    const activity: Activity = { name, startAtMs: atMs, checks: [], boots: 0, lastLine: '' };
    this.#activities.set(name, activity);
    return activity;
  }
}

/** "boot 2, stage 1". */
export function describePhase(name: string, boot: number | undefined): string {
  return boot === undefined ? namePhase(name) : `boot ${String(boot)}, ${namePhase(name)}`;
}
