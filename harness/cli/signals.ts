import { HarnessError } from '../core/index.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
let hasHungUp = false;

/**
 * Runs `work` with a signal that fires at Ctrl-C or a request to end: the work then puts everything away and ends by
 * itself. A second signal ends the process at once; machines die with it.
 */
export async function withSignals<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(130);
    hasHungUp = name === 'SIGHUP';
    process.stderr.write(`\nimperm: ${name}: putting everything away (once more: stop at once)\n`);
    stop.abort(new HarnessError('INTERRUPTED', `Interrupted by ${name}`));
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    return await work(stop.signal);
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal);
  }
}

/**
 * The last thing that is done. Whose terminal has gone ends by the signal that told so: an ordinary end would set the terminal
 * back, and Node aborts when it cannot.
 */
export function endByHangUp(): void {
  if (hasHungUp) process.kill(process.pid, 'SIGHUP');
}
