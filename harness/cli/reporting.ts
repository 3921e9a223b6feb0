import path from 'node:path';

import { EXIT, type Environment, type HarnessError } from '../core/index.js';
import {
  createEventBus,
  createRecorder,
  exitCodeOf,
  linkLatest,
  type RunEvent,
  type Verdict,
} from '../record/index.js';
import { createLiveReporter, renderSummary, renderTap, writeReports } from '../report/index.js';
import type { Hands } from '../run/index.js';
import { tellGithub } from './github.js';
import { holdForPerson } from './hands/index.js';
import { historyFile, rememberRun } from './remember.js';
import { renderError } from './render-error.js';

/** Where what happens in a run goes. */
export interface Reporting {
  readonly emit: (event: RunEvent) => void;
  /** A warning. */
  readonly warn: (text: string) => void;
  /** @param id Of the variant, or of one attempt at it. @returns Undefined as long as it has not ended. */
  verdictOf(id: string): Verdict | undefined;
  /** Gives the terminal to somebody who is given a machine. */
  readonly hold: Hands['hold'];
  /**
   * Ends the run: writes its reports, remembers it, and prints the summary.
   *
   * @param end.failure What stopped it, other than the variants themselves.
   * @returns The exit code.
   */
  close(end: { readonly failure?: HarnessError; readonly interrupted: boolean }): Promise<number>;
}

export interface ReportingOptions {
  readonly environment: Environment;
  readonly version: string;
  /** Of the run; everything is written there. */
  readonly folder: string;
  readonly reports: string;
  readonly history?: string;
  readonly verbose: boolean;
  /** TAP goes to standard output, and the summary to standard error. */
  readonly tap: boolean;
  /** Told the run's folder once its reports are written. Standard output is then the caller's. */
  readonly onReport?: (folder: string) => void;
}

/** Opens the record of a run and its display. */
export function openReporting(options: ReportingOptions): Reporting {
  const { environment, version, folder, onReport } = options;
  const bus = createEventBus();
  const recorder = createRecorder({ version });
  bus.subscribe(recorder);
  const live = createLiveReporter({
    stream: process.stderr,
    isTty: process.stderr.isTTY && !environment.ci,
    columns: () => process.stderr.columns || 80,
    color: process.stderr.isTTY && !environment.noColor,
    verbose: options.verbose,
  });
  bus.subscribe(live);
  const emit = (event: RunEvent): void => {
    bus.emit(event);
  };
  return {
    emit,
    warn: (text) => {
      emit({ type: 'note', level: 'warn', text });
    },
    verdictOf: (id) => recorder.verdictOf(id),
    hold: holdForPerson({
      terminal: { input: process.stdin, output: process.stdout },
      terminalType: environment.terminal,
      say: (line) => process.stderr.write(`${line}\n`),
      quiet: () => live.suspend(),
    }),
    async close({ failure, interrupted }) {
      emit({ type: 'run-end', interrupted });
      bus.close();
      const { record, notes: remarks } = await rememberRun(recorder.record(), historyFile(options));
      const notes = [...remarks, ...(await writeReports(record, folder)).notes];
      await linkLatest(folder);
      onReport?.(folder);
      const out = options.tap || onReport !== undefined ? process.stderr : process.stdout;
      if (options.tap) process.stdout.write(renderTap(record));
      const shown = path.relative(process.cwd(), folder) || '.';
      if (record.variants.length > 0) {
        const color = out.isTTY && !environment.noColor;
        const width = out.columns || 100;
        out.write(`\n${renderSummary(record, { color, width, folder: shown, proofs: options.verbose })}\n`);
      }
      const told = await tellGithub(record, { environment, folder: shown, out });
      for (const note of [...notes, ...told]) process.stderr.write(`imperm: ${note}\n`);
      if (failure !== undefined && failure.code !== 'INTERRUPTED') {
        process.stderr.write(renderError(failure));
        return failure.exitCode;
      }
      return interrupted ? EXIT.interrupted : exitCodeOf(record);
    },
  };
}
