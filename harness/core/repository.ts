import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json. Compiled files lie in `.build/harness/core`. */
export const repositoryRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
