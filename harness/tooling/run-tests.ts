import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { stringify } from 'yaml';

import { runTestFile, type TestFileResult } from './test-file.js';
import { createTestProgress } from './test-progress.js';

const UNIT_TIMEOUT_MS = 120_000;
/** The last resort: machine tests keep their own, much shorter limits, and say what they waited for. */
const MACHINE_TIMEOUT_MS = 45 * 60_000;
const MACHINE_TEST = '.machine.test.ts';

/** Has as many machines at once as the host can take: nothing else runs beside it. */
const BUSY = ['layouts.machine.test.ts'];
/**
 * One after the other, beside all others: those on libvirt share one, and would see the machines that the other has there; the
 * third takes as long as they do.
 */
const SECOND_LANE = ['libvirt.machine.test.ts', 'target-contract.machine.test.ts', 'nixos.machine.test.ts'];

const USAGE = `Usage: npm test -- [--unit | --machine] [--jobs N] [--yes] [name…]

  name       only test files whose path contains one of the names
  --unit     only the tests that need no machine
  --machine  only the tests that start machines, or a browser
  --jobs N   unit test files at the same time (default: number of processors)
  --yes      install missing host packages without asking`;

export interface TestOptions {
  /** The checkout. */
  readonly root: string;
  /** Where the compiled files lie. */
  readonly build: string;
  /** Default standard output. */
  readonly stream?: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/**
 * Runs the tests: first those that need no machine, several files at the same time, then those that start
 * machines, at most two files at the same time. The last line is always `N passed, N failed`.
 *
 * @param args The command line.
 * @returns 0 when at least one test ran and none failed, 1 otherwise, 2 for a wrong command line, 130 when interrupted.
 */
export async function runTests(args: readonly string[], options: TestOptions): Promise<number> {
  const stream = options.stream ?? process.stdout;
  const print = (text: string): void => {
    stream.write(`${text}\n`);
  };
  let selection: Selection;
  try {
    selection = readArguments(args);
  } catch (error) {
    print(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}\n0 passed, 0 failed`);
    return 2;
  }
  if (selection.help) {
    print(USAGE);
    return 0;
  }

  const startMs = performance.now();
  const total = { files: 0, passed: 0, failed: 0, skipped: 0 };
  const end = (code: number): number => {
    const skipped = total.skipped > 0 ? `, ${String(total.skipped)} not run (above, with the reason)` : '';
    print(
      `\n${String(total.files)} test files in ${((performance.now() - startMs) / 1000).toFixed(1)} s${skipped}`,
    );
    print(`${String(total.passed)} passed, ${String(total.failed)} failed`);
    return code;
  };

  const sources = await listTests(path.join(options.root, 'harness'));
  const chosen = sources
    .map((source) => path.relative(options.root, source))
    .filter((name) => selection.names.length === 0 || selection.names.some((part) => name.includes(part)))
    .filter((name) => (name.endsWith(MACHINE_TEST) ? selection.machine : selection.unit));
  if (chosen.length === 0) {
    print(
      selection.names.length === 0
        ? 'There are no tests.'
        : `No test file's path contains ${selection.names.join(' or ')}.`,
    );
    return end(1);
  }

  const stop = new AbortController();
  const onSignal = (): void => {
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const progress = createTestProgress(stream);
  const runOne = async (name: string): Promise<void> => {
    if (stop.signal.aborted) return;
    const isMachineTest = name.endsWith(MACHINE_TEST);
    progress.begin(name);
    const result = await runTestFile(path.join(options.build, name.replace(/ts$/, 'js')), {
      cwd: options.root,
      timeoutMs: isMachineTest ? MACHINE_TIMEOUT_MS : UNIT_TIMEOUT_MS,
      tapTimeout: !isMachineTest,
      signal: stop.signal,
      onLine: (line) => {
        progress.hear(name, line, isMachineTest);
      },
    });
    progress.end(name, describeResult(name, result));
    total.files += 1;
    total.passed += result.passed;
    total.failed += result.failed;
    total.skipped += result.skipped.length;
  };
  try {
    const unitTests = chosen.filter((name) => !name.endsWith(MACHINE_TEST));
    const machineTests = chosen.filter((name) => name.endsWith(MACHINE_TEST));
    if (machineTests.length > 0) {
      // Before the unit tests: a question is asked at the start or not at all.
      const code = await setUpHost(options.root, selection.yes);
      if (code !== 0) {
        print('This machine could not be set up for the tests; the reason is above.');
        total.failed += 1;
        return end(1);
      }
    }
    await runInParallel(unitTests, selection.jobs, runOne);
    const isOneOf = (files: readonly string[]) => (name: string) =>
      files.some((file) => name.endsWith(`/${file}`));
    const single = machineTests.filter((name) => !isOneOf(BUSY)(name));
    await runInParallel(machineTests.filter(isOneOf(BUSY)), 1, runOne);
    // Each has one machine at a time, or few, which wait a good part of their time.
    await Promise.all([
      runInParallel(single.filter(isOneOf(SECOND_LANE)), 1, runOne),
      runInParallel(
        single.filter((name) => !isOneOf(SECOND_LANE)(name)),
        1,
        runOne,
      ),
    ]);
  } finally {
    progress.close();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  if (stop.signal.aborted) return end(130);
  return end(total.failed === 0 && total.passed > 0 ? 0 : 1);
}

interface Selection {
  readonly names: readonly string[];
  readonly unit: boolean;
  readonly machine: boolean;
  readonly jobs: number;
  readonly yes: boolean;
  readonly help: boolean;
}

function readArguments(args: readonly string[]): Selection {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      unit: { type: 'boolean', default: false },
      machine: { type: 'boolean', default: false },
      jobs: { type: 'string' },
      yes: { type: 'boolean', short: 'y', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const jobs = values.jobs === undefined ? os.availableParallelism() : Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1)
    throw new Error(`--jobs takes a whole number from 1 on, not ${values.jobs ?? ''}.`);
  return {
    names: positionals,
    unit: values.unit || !values.machine,
    machine: values.machine || !values.unit,
    jobs,
    yes: values.yes,
    help: values.help,
  };
}

/** Test sources, not compiled files: a compiled test whose source is gone must not run. */
async function listTests(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

/** Installs the host packages that machines need; the command line says how to behave when it may not ask. */
async function setUpHost(root: string, yes: boolean): Promise<number> {
  const child = spawn(
    process.execPath,
    [path.join(root, 'harness', 'bin', 'imperm.mjs'), 'setup', '--quiet', ...(yes ? ['--yes'] : [])],
    {
      stdio: 'inherit',
    },
  );
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

async function runInParallel(
  names: readonly string[],
  jobs: number,
  run: (name: string) => Promise<void>,
): Promise<void> {
  const queue = [...names];
  await Promise.all(
    Array.from({ length: Math.min(jobs, queue.length) }, async () => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) await run(name);
    }),
  );
}

/** One line, and below it whatever helps to understand a failure. */
function describeResult(name: string, result: TestFileResult): string {
  const seconds = `${(result.durationMs / 1000).toFixed(1)} s`;
  const notRun = result.skipped.length > 0 ? `, ${String(result.skipped.length)} not run` : '';
  const lines = [
    result.failed === 0
      ? `ok     ${name} (${String(result.passed)} passed${notRun}, ${seconds})`
      : `FAILED ${name} (${String(result.passed)} passed, ${String(result.failed)} failed${notRun}, ${seconds})`,
    ...result.skipped.map(
      ({ name: test, reason }) => `  - not run: ${test} (${reason || 'no reason given'})`,
    ),
  ];
  if (result.failed === 0) return lines.join('\n');
  for (const failure of result.failures) {
    lines.push(`  ✗ ${failure.name}`);
    if (failure.diag !== undefined && failure.diag !== null)
      lines.push(indent(describeDiagnostics(failure.diag), 6));
  }
  if (result.output.trim() !== '')
    lines.push('  written by the test file:', indent(result.output.trimEnd(), 6));
  return lines.join('\n');
}

function describeDiagnostics(diag: unknown): string {
  if (typeof diag !== 'object' || diag === null) return String(diag);
  // The stack begins at the same place, and names it as editors understand it.
  const { at, stack, ...rest } = diag as Record<string, unknown>;
  return stringify({ ...(stack === undefined ? { at } : { stack }), ...rest }, { lineWidth: 0 }).trimEnd();
}

function indent(text: string, columns: number): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(columns));
}
