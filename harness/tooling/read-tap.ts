import { Parser, type FinalResults, type Result } from 'tap-parser';

export interface TestFailure {
  /** Where in the file: names of the subtests, then of the assertion. */
  readonly name: string;
  /** tap's diagnostics, if there are any. */
  readonly diag?: unknown;
}

/** A test that was not run, or one of which failure is expected (to do). */
export interface TestSkip {
  readonly name: string;
  /** Empty when the test does not say why. */
  readonly reason: string;
}

export interface TapCount {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly TestSkip[];
  readonly failures: readonly TestFailure[];
}

/** Reads TAP as it comes. */
export interface TapReader {
  write(text: string): void;
  /** The result so far; no more is read afterwards. */
  finish(): TapCount;
}

/**
 * Counts the tests of a TAP stream. One test is one test point of the top level: a subtest counts as one, however
 * many assertions it makes. Skipped and to-do points are counted wherever they are, and never as passed.
 *
 * @param onLine Told about every finished test, every comment and everything that is no TAP, as it comes.
 */
export function createTapReader(onLine: (line: string) => void = () => undefined): TapReader {
  const failures: TestFailure[] = [];
  let passed = 0;
  let failed = 0;
  const skipped: TestSkip[] = [];
  const top = new Parser();

  const watch = (level: Parser, path: readonly string[]): void => {
    let failuresBeforeChild = 0;
    level.on('child', (child: Parser) => {
      failuresBeforeChild = failures.length;
      watch(child, [...path, child.name]);
    });
    level.on('assert', (result: Result) => {
      const isSkipped = result.skip !== false || result.todo !== false;
      if (isSkipped) {
        const reason = [result.skip, result.todo].filter((why) => typeof why === 'string').join(', ');
        skipped.push({ name: [...path, result.name || 'unnamed'].join(' › '), reason });
      }
      // A subtest's own point adds nothing to what failed inside.
      const isExplained = result.closingTestPoint && failures.length > failuresBeforeChild;
      if (!isSkipped && !result.ok && !isExplained) {
        failures.push({
          name: [...path, result.name || 'unnamed'].join(' › '),
          diag: result.diag as unknown,
        });
      }
      if (level !== top) return;
      if (!isSkipped && result.ok) passed += 1;
      if (!isSkipped && !result.ok) failed += 1;
      onLine(`${isSkipped ? 'skip' : result.ok ? 'ok' : 'FAILED'}: ${result.name}`);
    });
    level.on('bailout', (reason: string) => {
      if (level === top) failures.push({ name: `bail out: ${reason}` });
    });
    level.on('complete', (results: FinalResults) => {
      for (const failure of results.failures) {
        if (typeof failure.tapError === 'string')
          failures.push({ name: [...path, failure.tapError].join(' › ') });
      }
    });
    level.on('comment', (text: string) => {
      // What tap says about its own bookkeeping is of no interest.
      if (!/^# (Subtest\b|time=|\{ total)/.test(text)) onLine(text.trim());
    });
    if (level === top) {
      level.on('extra', (text: string) => {
        onLine(text.trimEnd());
      });
    }
  };
  watch(top, []);

  return {
    write: (text) => {
      top.write(text);
    },
    finish: () => {
      top.end();
      return { passed, failed, skipped, failures };
    },
  };
}
