import { monotonicMs } from '../core/index.js';
import type { RunEvent, StampedEvent } from './event.js';

/** Something that follows a run: the recorder, the live display. */
export interface Reporter {
  /** Shown when the reporter fails: "live display". */
  readonly name: string;
  receive(stamped: StampedEvent): void;
  /** Called once, after the last event. */
  close?(): void;
}

export interface EventBusOptions {
  /** Milliseconds on a clock that never jumps. Default: the process's monotonic clock. */
  readonly clock?: () => number;
  /** The wall clock, for people and file names. Default: the system's. */
  readonly wallClock?: () => Date;
  /** Takes the one message about a reporter that failed. Default: a line on stderr. */
  readonly warn?: (message: string) => void;
}

export interface EventBus {
  emit(event: RunEvent): void;
  /** Reporters are served in the order in which they subscribed. The result takes the reporter out again. */
  subscribe(reporter: Reporter): () => void;
  /** Closes every reporter, in reverse order. Later events are dropped. */
  close(): void;
}

/**
 * Stamps events with the time since the bus was made and hands them to every reporter.
 *
 * A reporter that throws is named once and left out from then on: a broken display must never cost a run
 * that took minutes of machine time.
 */
export function createEventBus(options: EventBusOptions = {}): EventBus {
  const clock = options.clock ?? monotonicMs;
  const wallClock = options.wallClock ?? (() => new Date());
  const warn = options.warn ?? ((message: string) => process.stderr.write(`${message}\n`));
  const originMs = clock();
  const reporters = new Set<Reporter>();
  const waiting: StampedEvent[] = [];
  let delivering = false;
  let closed = false;

  const attempt = (reporter: Reporter, action: () => void): void => {
    try {
      action();
    } catch (thrown) {
      reporters.delete(reporter);
      const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      warn(`The ${reporter.name} failed and is left out from here on; the run goes on. ${text}`);
    }
  };

  return {
    emit(event) {
      waiting.push({ atMs: clock() - originMs, wall: wallClock().toISOString(), event });
      // A reporter that emits while it receives must not make the others see events out of order.
      if (delivering) return;
      delivering = true;
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const stamped = next;
        for (const reporter of [...reporters]) {
          attempt(reporter, () => {
            reporter.receive(stamped);
          });
        }
      }
      delivering = false;
    },
    subscribe(reporter) {
      reporters.add(reporter);
      return () => {
        reporters.delete(reporter);
      };
    },
    close() {
      if (closed) return;
      closed = true;
      for (const reporter of [...reporters].reverse()) attempt(reporter, () => reporter.close?.());
      reporters.clear();
    },
  };
}
