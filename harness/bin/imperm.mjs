#!/usr/bin/env node
import './check-node.mjs';
import path from 'path';
import { pathToFileURL } from 'url';

import { BUILD, PrepareError, prepare } from './prepare.mjs';

// 1 would say that a layout failed.
const COULD_NOT_RUN = 69;

try {
  prepare();
  process.setSourceMapsEnabled(true);
  const { main } = await import(pathToFileURL(path.join(BUILD, 'harness', 'cli', 'main.js')).href);
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof PrepareError ? `imperm: ${error.message}` : error);
  process.exitCode = COULD_NOT_RUN;
}
