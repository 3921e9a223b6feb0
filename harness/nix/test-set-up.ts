import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { Budget, readEnvironment, runProgram } from '../core/index.js';
import { openToolbox, type Toolbox } from '../host/index.js';
import { nixEnvironment, type RunNix } from './evaluate.js';

const LIMIT_MS = 110_000;

/** What a test of nix/ works with. */
export interface NixTest {
  readonly toolbox: Toolbox;
  readonly cacheDir: string;
  /** Gone afterwards, a store in it too. */
  readonly folder: string;
  /** Of the whole file. */
  readonly budget: Budget;
  /** Our own Nix, without a daemon, settings and network. */
  readonly nix: RunNix;
}

/**
 * @param t The file's tests.
 * @param what Is done within two minutes: `systems to be made`.
 */
export async function setUpNixTest(
  t: { teardown(handler: () => Promise<void>): void },
  what: string,
): Promise<NixTest> {
  const { cacheDir, debianMirror } = readEnvironment();
  const budget = Budget.start(what, LIMIT_MS, new AbortController().signal);
  const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-nix-'));
  t.teardown(async () => {
    // What is in a store is read-only.
    await runProgram('chmod', ['-R', 'u+w', folder]);
    await rm(folder, { recursive: true, force: true });
  });
  const env = nixEnvironment(folder);
  const nix: RunNix = (program, args) => toolbox.run(program, args, budget, { env });
  return { toolbox, cacheDir, folder, budget, nix };
}
