import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { repositoryRoot } from '../core/index.js';
import { HISTORY_FILE, readRecord, type RunRecord } from '../record/index.js';

export const BIN = path.join(repositoryRoot, 'harness/bin/imperm.mjs');

export interface CliResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a process of its own, as a person starts it; for tests. */
export class Cli {
  readonly child: ChildProcess;
  readonly result: Promise<CliResult>;
  #stderr = '';
  readonly #waiters = new Set<() => void>();

  constructor(args: readonly string[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [BIN, ...args], {
      cwd: repositoryRoot,
      env: { ...process.env, CI: 'true', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      for (const wake of this.#waiters) wake();
    });
    this.result = once(this.child, 'close').then(() => ({
      exitCode: this.child.exitCode,
      stdout,
      stderr: this.#stderr,
    }));
  }

  /** Settles when standard error has shown the text. */
  async sees(text: string): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      const wake = (): void => {
        if (this.#stderr.includes(text)) resolve();
      };
      this.#waiters.add(wake);
      wake();
    });
    const ended = this.result.then(({ stderr }) => {
      if (!stderr.includes(text)) throw new Error(`ended without "${text}":\n${stderr}`);
    });
    await Promise.race([seen, ended]);
  }
}

/** Gives a folder that is gone afterwards. */
export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The record of the only run in a reports folder. */
export async function readOnlyRecord(reports: string): Promise<RunRecord> {
  const [run = ''] = (await readdir(reports)).filter((name) => name !== 'latest' && name !== HISTORY_FILE);
  return readRecord(path.join(reports, run, 'record.json'));
}
