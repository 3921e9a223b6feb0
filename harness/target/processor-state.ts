import type { Budget } from '../core/index.js';
import type { QmpClient } from './qmp.js';

/** Of all registers only these are shown: in others there may be a key. */
const SHOWN_REGISTERS = /^(?:CPU#|RIP=)/;

/** What the monitor tells of the processors of a machine, as text. */
export async function describeProcessors(qmp: QmpClient, budget: Budget): Promise<string> {
  const ask = async (command: string): Promise<string> =>
    String(await qmp.execute('human-monitor-command', { 'command-line': command }, budget)).replaceAll(
      '\r',
      '',
    );
  const registers = await ask('info registers -a');
  const processors = registers.match(/^CPU#/gm) ?? [];
  const timers: string[] = [];
  for (const index of processors.keys()) timers.push(await ask(`info lapic ${String(index)}`));
  return [
    await ask('info status'),
    ...registers.split('\n').filter((line) => SHOWN_REGISTERS.test(line)),
    ...timers,
  ].join('\n');
}
