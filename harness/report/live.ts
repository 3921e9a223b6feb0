import { monotonicMs } from '../core/index.js';
import type { Reporter, StampedEvent } from '../record/index.js';
import { renderEvent } from './live-lines.js';
import { LiveState, type Activity } from './live-state.js';
import { createPaint, type Paint } from './paint.js';
import { Screen, type OutputStream } from './screen.js';
import { cutToWidth, measureWidth } from './text.js';
import { formatClock } from './words.js';

export interface LiveReporterOptions {
  readonly stream: OutputStream;
  /** A terminal that can move its cursor. Without one: plain lines with the time, no control sequences. */
  readonly isTty: boolean;
  /** Columns of the terminal; a function, because a window can be resized. Default: 80. */
  readonly columns?: number | (() => number);
  /** Decided by the caller from NO_COLOR and the stream. Default: false. */
  readonly color?: boolean;
  /** Also console lines, the ends of phases and the checks that pass. Default: false. */
  readonly verbose?: boolean;
  /** Milliseconds on a clock that never jumps. Default: the process's monotonic clock. */
  readonly clock?: () => number;
  /** Calls `tick` every `intervalMs` until the result is called. Default: a timer that keeps no process alive. */
  readonly every?: (intervalMs: number, tick: () => void) => () => void;
}

export interface LiveReporter extends Reporter {
  /** Takes the lines under way off the terminal. Nothing is written afterwards. */
  close(): void;
  /** Leaves the terminal to somebody else. What happens meanwhile is shown when the result is called. */
  suspend(): () => void;
}

const HEARTBEAT_MS = 1000;
/** A booting machine writes hundreds of lines a second; nobody reads more than this. */
const CONSOLE_REDRAW_MS = 100;
/** More lines under way would not fit a small terminal, and could not be redrawn in place. */
const MAX_UNDER_WAY = 12;
/** Less than this of a phase or of a console line says nothing. */
const MIN_ROOM = 8;
const INDENT = '       ';

/** Shows a run while it goes on: redrawn in place on a terminal, as plain lines elsewhere. */
export function createLiveReporter(options: LiveReporterOptions): LiveReporter {
  return options.isTty ? createTerminalReporter(options) : createPlainReporter(options);
}

function createPlainReporter(options: LiveReporterOptions): LiveReporter {
  const state = new LiveState();
  const lineOptions = {
    paint: createPaint(options.color ?? false),
    verbose: options.verbose ?? false,
    hasDisplay: false,
  };
  let closed = false;
  let held: string[] | undefined;
  return {
    name: 'progress display',
    suspend() {
      held ??= [];
      return () => {
        const text = (held ?? []).join('');
        held = undefined;
        if (!closed && text !== '') options.stream.write(text);
      };
    },
    receive({ event, atMs }) {
      if (closed) return;
      const lines = renderEvent(event, state.receive(event, atMs), { ...lineOptions, atMs });
      const text = lines.map(
        (line, index) => `${index === 0 ? `[${formatClock(atMs).padStart(5)}]` : INDENT} ${line}\n`,
      );
      if (held !== undefined) held.push(...text);
      else if (text.length > 0) options.stream.write(text.join(''));
    },
    close() {
      closed = true;
    },
  };
}

function createTerminalReporter(options: LiveReporterOptions): LiveReporter {
  const clock = options.clock ?? monotonicMs;
  const paint = createPaint(options.color ?? false);
  const { columns = 80 } = options;
  const getColumns = typeof columns === 'number' ? (): number => columns : columns;
  const lineOptions = { paint, verbose: options.verbose ?? false, hasDisplay: true };
  const state = new LiveState();
  const screen = new Screen(options.stream, getColumns);
  let heard = { atMs: 0, clockMs: clock() };
  let drawnClockMs = -Infinity;
  let closed = false;
  let held: string[] | undefined;

  const redraw = (finished: readonly string[]): void => {
    drawnClockMs = clock();
    // Events carry the run's time: what has passed since the last one is read from the clock.
    const nowMs = heard.atMs + drawnClockMs - heard.clockMs;
    const width = Math.max(1, getColumns() - 1);
    const shown = state.activities.slice(0, MAX_UNDER_WAY);
    const underWay = shown.map((activity) => renderActivity(activity, { nowMs, width, paint }));
    const hidden = state.activities.length - shown.length;
    if (hidden > 0) underWay.push(cutToWidth(`and ${String(hidden)} more`, width));
    screen.redraw(finished, underWay);
  };
  const stop = (options.every ?? everyUnref)(HEARTBEAT_MS, () => {
    if (!closed && held === undefined) redraw([]);
  });

  return {
    name: 'progress display',
    receive({ event, atMs }: StampedEvent) {
      if (closed) return;
      heard = { atMs, clockMs: clock() };
      const finished = renderEvent(event, state.receive(event, atMs), { ...lineOptions, atMs });
      const isSoon = heard.clockMs - drawnClockMs < CONSOLE_REDRAW_MS;
      if (held !== undefined) held.push(...finished);
      else if (event.type !== 'console' || finished.length > 0 || !isSoon) redraw(finished);
    },
    suspend() {
      held ??= [];
      screen.redraw([], []);
      return () => {
        const finished = held ?? [];
        held = undefined;
        if (!closed) redraw(finished);
      };
    },
    close() {
      if (closed) return;
      closed = true;
      stop();
      // Somebody else has the terminal: nothing of ours is on it.
      if (held === undefined) screen.redraw([], []);
    },
  };
}

/** "name  1:12  boot 2, stage 1 0:07  | last line of the console", cut to the width. */
function renderActivity(
  activity: Activity,
  { nowMs, width, paint }: { readonly nowMs: number; readonly width: number; readonly paint: Paint },
): string {
  const { phase, silentSinceMs } = activity;
  const parts = [
    { text: activity.name, format: 'bold' },
    { text: formatClock(nowMs - activity.startAtMs), format: undefined },
    {
      text: phase === undefined ? '' : `${phase.name} ${formatClock(nowMs - phase.startAtMs)}`,
      format: 'cyan',
    },
    {
      text: silentSinceMs === undefined ? '' : `no word for ${formatClock(nowMs - silentSinceMs)}`,
      format: 'yellow',
    },
    { text: activity.lastLine === '' ? '' : `| ${activity.lastLine}`, format: 'dim' },
  ] as const;
  let line = '';
  let room = width;
  for (const { text, format } of parts) {
    if (text === '' || (line !== '' && room < MIN_ROOM)) continue;
    const gap = line === '' ? '' : '  ';
    const cut = cutToWidth(`${gap}${text}`, room);
    room -= measureWidth(cut);
    line += format === undefined ? cut : paint(format, cut);
  }
  return line;
}

function everyUnref(intervalMs: number, tick: () => void): () => void {
  const timer = setInterval(tick, intervalMs);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}
