import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as delay } from 'node:timers/promises';

import { EXIT, HarnessError } from '../../core/index.js';
import { RECORD_FILE } from '../../record/index.js';
import { makePrintable } from '../../report/index.js';
import { wasKilled } from '../running.js';
import { findRun, findVariant } from './find-run.js';

/** What can be shown, and the file that holds it. */
export const CONSOLES = {
  console: 'console.log',
  journal: 'journal.log',
  installer: 'installer-console.log',
  inspector: 'inspector-console.log',
} as const;

export interface ConsoleOptions {
  /** Go on until the run has ended. */
  readonly follow: boolean;
  readonly log: keyof typeof CONSOLES;
  readonly reports: string;
}

const LOOK_MS = 200;
/** Every so many looks: whether there is still somebody who writes. */
const LOOKS_BETWEEN = 10;
const CHUNK_BYTES = 65_536;
const TIME = /^\[ *(\d+\.\d+)\]/;

/**
 * Shows a recorded console with its times, seconds since power-on.
 *
 * @returns The exit code.
 * @throws {HarnessError} MACHINE_DIED when a run that is followed was killed. USAGE when there is no such console.
 */
export async function showConsole(
  run: string | undefined,
  variant: string | undefined,
  options: ConsoleOptions,
  write: (text: string) => void,
): Promise<number> {
  const folder = await findRun(run, options.reports);
  const wait = makeWait(folder);
  const name = CONSOLES[options.log];
  const find = (): Promise<string> =>
    findVariant(folder, variant, {
      what: `a ${options.log} (${name})`,
      hint: 'It is written as soon as its machine is on.',
      has: async (each) => (await readdir(each)).includes(name),
    });
  // A run that has just begun has none yet.
  while (options.follow && !(await hasEnded(folder)) && !(await find().then(isThere, isAmbiguous)))
    await wait();
  const file = path.join(await find(), name);
  const lines = new ConsoleText(write);
  let offset = 0;
  for (;;) {
    // Asked first: what is written between the two questions is then still read.
    const isLast = !options.follow || (await hasEnded(folder));
    offset = await readFrom(file, { offset, isLast }, (text) => {
      lines.write(text);
    });
    if (isLast) break;
    await wait();
  }
  lines.end();
  return EXIT.ok;
}

/** @returns Waits for the next look. It throws when nobody will write any more. */
function makeWait(folder: string): () => Promise<void> {
  let looks = 0;
  return async () => {
    await delay(LOOK_MS);
    looks += 1;
    if (looks % LOOKS_BETWEEN > 0 || !(await wasKilled(folder)) || (await hasEnded(folder))) return;
    throw new HarnessError('MACHINE_DIED', 'The run was killed before it could write its record', {
      hint: '`imperm reap` removes what it has left behind; without --follow everything is shown that it wrote.',
    });
  };
}

const isThere = (): boolean => true;

/** More than one variant to choose from does not get better by waiting. */
function isAmbiguous(error: unknown): boolean {
  return !(error instanceof HarnessError) || error.details !== undefined;
}

async function hasEnded(run: string): Promise<boolean> {
  return (await stat(path.join(run, RECORD_FILE)).catch(() => undefined)) !== undefined;
}

/** @returns Where to go on. */
async function readFrom(
  file: string,
  { offset, isLast }: { readonly offset: number; readonly isLast: boolean },
  use: (text: string) => void,
): Promise<number> {
  const handle = await open(file, 'r');
  try {
    const decoder = new StringDecoder('utf8');
    const buffer = Buffer.alloc(CHUNK_BYTES);
    let position = offset;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, position);
      if (bytesRead === 0) break;
      // Whole lines only: the rest of one that is being written comes with the next look.
      const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
      if (end === 0 && bytesRead < CHUNK_BYTES && !isLast) break;
      const taken = end === 0 ? bytesRead : end;
      use(decoder.write(buffer.subarray(0, taken)));
      position += taken;
    }
    return position;
  } finally {
    await handle.close();
  }
}

/** The lines of a console: printable, and with a mark where the times begin anew. */
export class ConsoleText {
  readonly #write: (text: string) => void;
  #rest = '';
  #lastS = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  write(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#show(line);
  }

  end(): void {
    if (this.#rest !== '') this.#show(this.#rest);
    this.#rest = '';
  }

  #show(line: string): void {
    const seconds = Number(TIME.exec(line)?.[1] ?? this.#lastS);
    if (seconds < this.#lastS) this.#write('== powered on again ==\n');
    this.#lastS = seconds;
    this.#write(`${makePrintable(line)}\n`);
  }
}
