import path from 'node:path';

import type { Command } from 'commander';

import { repositoryRoot } from '../../core/index.js';
import { glob } from '../glob.js';
import { readCommandParts } from './command-parts.js';
import { renderCommandsPage, renderManual } from './render-commands.js';
import { renderFormatPage } from './render-format.js';

/**
 * The parts of the documentation that are made of the program: by their paths below the repository.
 *
 * @param program The whole command line.
 */
export async function makeReference(
  program: Command,
  version: string,
): Promise<Readonly<Record<string, string>>> {
  const commands = readCommandParts(program);
  const scenarios = await glob(path.join(repositoryRoot, 'scenarios'));
  const files = scenarios.map(({ file }) => path.relative(repositoryRoot, file));
  return {
    'harness/docs/commands.md': renderCommandsPage(commands),
    'harness/docs/imperm.1': renderManual(commands, version),
    'harness/docs/scenario-format.md': await renderFormatPage(files),
  };
}
