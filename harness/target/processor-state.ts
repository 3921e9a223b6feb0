/** Of all registers only these are shown: in others there may be a key. */
const SHOWN_REGISTERS = /^(?:CPU#|RIP=)/;

/**
 * What QEMU's monitor tells of the processors of a machine, as text.
 *
 * @param monitor Runs a command of the monitor for people. @returns What it prints.
 */
export async function describeProcessors(monitor: (command: string) => Promise<string>): Promise<string> {
  const ask = async (command: string): Promise<string> => (await monitor(command)).replaceAll('\r', '');
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
