import t from 'tap';

import type { RunEvent, StampedEvent } from '../record/index.js';
import { createLiveReporter, type LiveReporter } from './index.js';
import { makeSampleEvents } from './sample-run.js';
import { Screen } from './screen.js';

const ESC = '\u001b';
const TOKEN = new RegExp(`${ESC}\\[(?<count>\\d*)(?<command>[A-Za-z])|(?<character>[^])`, 'gu');
const COLOUR = new RegExp(`${ESC}\\[[\\d;]*m`);

/** As much of a terminal as the display needs; anything else that it is sent is an error. */
class TinyTerminal {
  readonly writes: string[] = [];
  #rows: string[][] = [[]];
  #row = 0;
  #column = 0;
  constructor(readonly columns: number) {}

  get lines(): string[] {
    return this.#rows.map((row) => row.join(''));
  }

  write(text: string): void {
    this.writes.push(text);
    const tokens = text.matchAll(TOKEN);
    for (const { groups } of tokens) {
      const { command, count, character } = groups ?? {};
      if (command === 'A') this.#row -= Number(count);
      else if (command === 'J') this.#eraseDown();
      else if (character === '\r') this.#column = 0;
      else if (character === '\n') this.#lineFeed();
      else if (character !== undefined && !/[\p{Cc}\u202a-\u202e]/u.test(character)) this.#put(character);
      else throw new Error(`not for a terminal: ${JSON.stringify(text)}`);
      if (this.#row < 0) throw new Error('above the first line');
    }
  }

  #put(character: string): void {
    if (this.#column === this.columns) this.#lineFeed();
    const row = (this.#rows[this.#row] ??= []);
    row[this.#column] = character;
    this.#column += 1;
  }

  #lineFeed(): void {
    this.#row += 1;
    this.#column = 0;
    this.#rows[this.#row] ??= [];
  }

  #eraseDown(): void {
    this.#rows = this.#rows.slice(0, this.#row + 1);
    this.#rows[this.#row] = (this.#rows[this.#row] ?? []).slice(0, this.#column);
  }
}

interface Stage {
  readonly terminal: TinyTerminal;
  readonly live: LiveReporter;
  readonly send: (event: RunEvent, atMs: number) => void;
  /** Lets time pass and the heartbeat beat. */
  readonly wait: (elapsedMs: number) => void;
  readonly stopped: () => boolean;
}

function setStage(columns: number, options: { verbose?: boolean; isTty?: boolean } = {}): Stage {
  const terminal = new TinyTerminal(columns);
  // The reporter's clock has another origin than the run's.
  let nowMs = 777_000;
  let beat = (): void => undefined;
  let stopped = false;
  const live = createLiveReporter({
    stream: terminal,
    isTty: options.isTty ?? true,
    columns,
    verbose: options.verbose ?? false,
    clock: () => nowMs,
    every: (intervalMs, tick) => {
      t.equal(intervalMs, 1000);
      beat = tick;
      return () => {
        stopped = true;
      };
    },
  });
  return {
    terminal,
    live,
    send: (event, atMs) => {
      nowMs = 777_000 + atMs;
      live.receive({ atMs, wall: '', event });
    },
    wait: (elapsedMs) => {
      nowMs += elapsedMs;
      beat();
    },
    stopped: () => stopped,
  };
}

const variantStart: RunEvent = {
  type: 'variant-start',
  variant: 'a[disk=virtio]',
  scenario: { name: 'a', title: 'A', file: 'a.yaml' },
  axes: { disk: 'virtio' },
  guest: 'debian',
  target: 'qemu',
  folder: 'a',
  repeat: 'imperm run a',
};
const stageOne: RunEvent = { type: 'phase-start', variant: 'a[disk=virtio]', name: 'stage-1', boot: 2 };

function consoleLine(line: string): RunEvent {
  return { type: 'console', variant: 'a[disk=virtio]', line };
}

t.test('the line under way: time moves without events, the console is cut, silence shows', async (t) => {
  const { terminal, send, wait } = setStage(64);
  send(variantStart, 10_000);
  send(stageOne, 70_000);
  t.equal(terminal.lines[0], 'a[disk=virtio]  1:00  boot 2, stage 1 0:00');
  wait(1000);
  t.equal(terminal.lines[0], 'a[disk=virtio]  1:01  boot 2, stage 1 0:01');
  wait(6000);
  send(consoleLine(`${ESC}[31mred${ESC}[0m \u0000 ${'x'.repeat(80)}`), 80_000);
  t.match(terminal.lines[0], /^a\[disk=virtio\] {2}1:10 {2}boot 2, stage 1 0:10 {2}\| red \\x00 x+…$/);
  t.equal(terminal.lines[0]?.length, 63, 'one column stays free, or the terminal would break the line');
  send({ type: 'silence', variant: 'a[disk=virtio]', seconds: 30, lastLine: 'red' }, 110_000);
  t.match(terminal.lines[0], /^a\[disk=virtio\]: no word from the machine for 30 s; /);
  wait(2000);
  t.match(terminal.lines.at(-2), /stage 1 0:42 {2}no word for 0:32$/);
  send(consoleLine('back'), 113_000);
  t.match(terminal.lines.at(-2), /stage 1 0:43 {2}\| back$/);
});

t.test('a storm of console lines is one redraw, and the last line shows at the next beat', async (t) => {
  const { terminal, send, wait } = setStage(80);
  send(variantStart, 0);
  const before = terminal.writes.length;
  for (let i = 0; i < 2000; i += 1) send(consoleLine(`line ${String(i)}`), i % 50);
  t.equal(terminal.writes.length, before, 'within 100 ms nothing is drawn');
  wait(1000);
  t.equal(terminal.writes.length, before + 1);
  t.match(terminal.lines[0], /\| line 1999$/);
  wait(0);
  t.equal(terminal.writes.length, before + 1, 'nothing new, nothing written');
});

t.test('a whole run, at several widths', async (t) => {
  const play = (columns: number): TinyTerminal => {
    const { terminal, live, send, wait, stopped } = setStage(columns);
    for (const { event, atMs } of makeSampleEvents()) {
      const before = terminal.writes.length;
      send(event, atMs);
      t.ok(terminal.writes.length <= before + 1, 'one write a redraw');
      wait(3000);
    }
    live.close();
    t.ok(stopped(), 'the heartbeat is stopped');
    const after = terminal.writes.length;
    send(variantStart, 999_000);
    wait(1000);
    t.equal(terminal.writes.length, after, 'nothing is written after the end');
    return terminal;
  };
  const wide = play(1000);
  t.notMatch(wide.lines.join('\n'), /stage 1 \d/, 'nothing that was under way is left');
  const verdicts = ['pass', 'FAIL', 'ERROR', 'skip', 'known bug'].map((label) =>
    wide.lines.findIndex((line) => line.startsWith(`${label}  `)),
  );
  t.strictSame(
    verdicts,
    [...verdicts].sort((a, b) => a - b),
    'one line a verdict, in order',
  );
  t.notOk(verdicts.includes(-1));
  const text = wide.lines.join('\n');
  t.match(text, /FAIL {2}rollback-too-late\[disk=virtio\] {2}47\.9 s, 3 boots, 0 promises kept, 3 broken/);
  t.match(
    text,
    /TIMEOUT: The machine did not answer within .*initrd-root-device\.target"\.$/m,
    'errors are not cut',
  );
  t.match(text, /^ +Look at console\.txt/m);
  t.match(text, /broken: The root is new after every boot, after boot 2\n +found: \/ is still the subvolume/);
  t.match(text, /still broken: The disk is unlocked.*, after boot 3\n[^ ]/, 'the same finding is told once');

  for (const columns of [30, 61, 80]) {
    const expected = new TinyTerminal(columns);
    expected.write(wide.lines.join('\n'));
    t.strictSame(
      play(columns).lines,
      expected.lines,
      `${String(columns)} columns leave the same lines behind`,
    );
  }
});

t.test('an end in the middle leaves nothing half-done on the terminal', async (t) => {
  const { terminal, live, send } = setStage(80);
  send(variantStart, 0);
  send(stageOne, 0);
  t.match(terminal.lines, [/stage 1/, '']);
  live.close();
  t.strictSame(terminal.lines, ['']);
});

t.test('a window made narrower has more rows to erase', async (t) => {
  const written: string[] = [];
  let columns = 40;
  const screen = new Screen({ write: (text) => written.push(text) }, () => columns);
  screen.redraw([], ['x'.repeat(39), 'short']);
  columns = 15;
  screen.redraw(['done'], []);
  t.strictSame(written, [`${'x'.repeat(39)}\nshort\n`, `\r${ESC}[4A${ESC}[Jdone\n`]);
});

t.test('plain lines', async (t) => {
  const play = (verbose: boolean): string => {
    const { terminal, live, send } = setStage(20, { isTty: false, verbose });
    for (const { event, atMs } of makeSampleEvents()) send(event, atMs);
    live.close();
    send(variantStart, 0);
    return terminal.writes.join('');
  };
  const plain = play(false);
  t.match(plain, /^[\P{Cc}\n]*$/u, 'no control sequence');
  t.match(plain, /^\[ 0:00\] imperm run --all \(report: reports\/20260301-100000\)$/m);
  t.match(plain, /^\[ 0:41\] Machines run with TCG.*\/dev\/kvm opens/m);
  t.match(plain, /^\[ 0:41\] warning: Time limits are multiplied by 8\.$/m);
  t.match(plain, /^\[ 2:05\] rollback-too-late\[disk=virtio\]: boot 3, stage 1$/m);
  t.match(
    plain,
    /^\[ 3:11\] tmpfs-luks\[disk=nvme\]: no word from the machine for 30 s; the last line was: Reached/m,
  );
  t.match(plain, /^\[ 4:41\] ERROR {2}tmpfs-luks\[disk=nvme\]/m);
  t.notMatch(plain, /goes on, at some length/);
  t.ok(
    plain.endsWith('broken\n              btrfs subvolume list -o shows one level only\n'),
    'nothing after close',
  );

  const verbose = play(true);
  t.match(verbose, /\[disk=virtio\]: \| \[ {4}2\.\d+\] systemd\[1\]: stage-1 goes on/);
  t.match(verbose, /: kept: \/home keeps its files, after boot 2$/m);
  t.match(verbose, /: boot 2, stage 1 took 9\.8 s$/m);
});

t.test('colour is the decision of the caller alone', async (t) => {
  const render = (isTty: boolean, color: boolean): string => {
    const written: string[] = [];
    const live = createLiveReporter({ stream: { write: (text) => written.push(text) }, isTty, color });
    makeSampleEvents().forEach((stamped: StampedEvent) => {
      live.receive(stamped);
    });
    live.close();
    return written.join('');
  };
  for (const isTty of [true, false]) {
    t.ok(render(isTty, true).includes(`${ESC}[32mpass${ESC}[39m`));
    t.notMatch(render(isTty, false), COLOUR);
  }
});

for (const isTty of [true, false]) {
  t.test(
    `suspended ${isTty ? 'on a terminal' : 'as plain lines'}, it writes nothing until it goes on`,
    async (t) => {
      const { terminal, live, send, wait } = setStage(64, { isTty });
      send(variantStart, 0);
      send(stageOne, 1000);
      const resume = live.suspend();
      t.notMatch(terminal.lines.join('\n'), /stage 1 0:/, 'nothing under way is left on the terminal');
      const before = terminal.writes.length;
      send(consoleLine('what somebody does'), 2000);
      send({ type: 'note', level: 'warn', text: 'heard meanwhile' }, 3000);
      wait(5000);
      t.equal(terminal.writes.length, before);
      resume();
      t.match(terminal.lines.join('\n'), /heard meanwhile/, 'told afterwards');
      send(consoleLine('on'), 10_000);
      if (isTty) t.match(terminal.lines.join('\n'), /\| on/);

      live.suspend();
      const last = terminal.writes.length;
      live.close();
      t.equal(terminal.writes.length, last, 'closed by an interruption, it leaves the terminal alone');
    },
  );
}
