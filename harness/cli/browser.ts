import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, quote, readEnvironment } from '../core/index.js';
import { openToolsTree, toolsRoomWords } from '../host/index.js';

/** A browser for tests, with one font. 670 MB, unpacked once; no run needs it. */
const PACKAGES = ['chromium-headless-shell', 'fonts-dejavu-core'];
const PROGRAM = '/usr/lib/chromium/chromium-headless-shell';

export interface MakeBrowserOptions {
  /** The only files of the host that it sees, and where the program is written. */
  readonly folder: string;
  readonly budget: Budget;
  /** Told before it is unpacked, which takes minutes. */
  readonly onBuild: () => void;
}

/**
 * Gives Chromium of Debian, the same on every host, as one program. It keeps its profile in memory, and ends with all its
 * processes when it is told to, or when nobody is left to talk to it.
 *
 * @returns The path of the program.
 * @throws {HarnessError} TOOL_FAILED when it cannot be unpacked.
 */
export async function makeBrowser({ folder, budget, onBuild }: MakeBrowserOptions): Promise<string> {
  const { cacheDir, debianMirror: mirror } = readEnvironment();
  const tree = await openToolsTree({
    name: 'test-browser',
    packages: PACKAGES,
    libraryFolders: [],
    cacheDir,
    mirror,
    budget,
    onBuild,
  });
  const words = [...toolsRoomWords(tree, { folders: [folder] }), PROGRAM];
  const program = path.join(folder, 'browser');
  await writeFile(program, `#!/bin/sh\nexec ${words.map(quote).join(' ')} "$@"\n`, { mode: 0o755 });
  return program;
}
