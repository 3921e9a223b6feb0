import { appendFile } from 'node:fs/promises';
import path from 'node:path';

import { Machine } from '../target/index.js';
import { SILENCE_MS } from './budgets.js';

const LOOK_MS = 1000;

/**
 * Tells of a machine that says nothing for long, again and again, and writes down each time what its processors do: a
 * guest that hangs leaves no other trace.
 *
 * @param options.folder Gets the file `silence.txt`.
 * @param options.isOver Whether the machine is no longer of interest.
 * @param options.isHeld Whether somebody is looking at the machine: it may then be silent for as long as it likes.
 * @param options.onSilence Receives how long it has been, in milliseconds, and what was said last.
 */
export function watchSilence(
  machine: Machine,
  options: {
    readonly folder: string;
    readonly isOver: () => boolean;
    readonly isHeld: () => boolean;
    readonly onSilence: (silentMs: number, lastLine: string) => void;
  },
): void {
  let announcedMs = 0;
  const timer = setInterval(() => {
    if (options.isOver()) {
      clearInterval(timer);
      return;
    }
    const { silentMs, lastLine } = machine.console;
    if (silentMs < SILENCE_MS || options.isHeld()) {
      announcedMs = 0;
    } else if (silentMs - announcedMs >= SILENCE_MS) {
      announcedMs = silentMs;
      options.onSilence(silentMs, lastLine);
      void machine
        .describeProcessors(Machine.stopBudget())
        .then((state) =>
          appendFile(
            path.join(options.folder, 'silence.txt'),
            `== silent for ${String(Math.round(silentMs / 1000))} s after: ${lastLine}\n${state}\n`,
          ),
        )
        // It has ended in between.
        .catch(() => undefined);
    }
  }, LOOK_MS);
  timer.unref();
}
