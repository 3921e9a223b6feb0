import { clearLine, cursorTo } from 'node:readline';

/** How often the clock on a terminal moves, and how often a log shows that something still runs. */
const REDRAW_MS = 500;
const STILL_RUNNING_MS = 30_000;

/** Shows which test files run. */
export interface TestProgress {
  begin(name: string): void;
  /** @param isShown Whether the line itself is shown, or only that there was one. */
  hear(name: string, line: string, isShown: boolean): void;
  end(name: string, text: string): void;
  close(): void;
}

/**
 * On a terminal the last line shows what runs, for how long and what was heard last; elsewhere every 30 s a line
 * says what still runs. Finished files are printed as they finish.
 */
export function createTestProgress(
  stream: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number },
): TestProgress {
  const isTerminal = stream.isTTY === true;
  const running = new Map<string, { startMs: number; lastLine: string }>();

  const erase = (): void => {
    if (!isTerminal) return;
    cursorTo(stream, 0);
    clearLine(stream, 0);
  };
  const draw = (): void => {
    if (!isTerminal || running.size === 0) return;
    const text = [...running]
      .map(([name, { startMs, lastLine }]) => `${name} ${secondsSince(startMs)} ${lastLine}`.trim())
      .join(' | ');
    erase();
    stream.write(`… ${text}`.slice(0, (stream.columns ?? 80) - 1));
  };
  const print = (text: string): void => {
    erase();
    stream.write(`${text}\n`);
    draw();
  };

  const timer = setInterval(
    () => {
      if (isTerminal) draw();
      else
        for (const [name, { startMs, lastLine }] of running) {
          stream.write(
            `…      ${name} still runs, ${secondsSince(startMs)}${lastLine === '' ? '' : `: ${lastLine}`}\n`,
          );
        }
    },
    isTerminal ? REDRAW_MS : STILL_RUNNING_MS,
  );

  return {
    begin: (name) => {
      running.set(name, { startMs: performance.now(), lastLine: '' });
      draw();
    },
    hear: (name, line, isShown) => {
      const entry = running.get(name);
      if (entry !== undefined) entry.lastLine = line;
      if (isShown) print(`       ${line}`);
    },
    end: (name, text) => {
      running.delete(name);
      print(text);
    },
    close: () => {
      clearInterval(timer);
      erase();
    },
  };
}

function secondsSince(startMs: number): string {
  return `${Math.round((performance.now() - startMs) / 1000).toFixed(0)} s`;
}
