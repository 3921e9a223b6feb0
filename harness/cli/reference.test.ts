// The reference: what lies in harness/docs is what the program says of itself, and nothing is missing in it.
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { Command } from 'commander';
import t from 'tap';

import { readEnvironment, repositoryRoot, runProgram } from '../core/index.js';
import { scenarioJsonSchema } from '../scenario/index.js';
import { makeCommandLine } from './main.js';
import { makeReference } from './reference/index.js';

const manifest = JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8')) as {
  version: string;
};
const { program } = makeCommandLine(readEnvironment(), manifest);
const reference = await makeReference(program, manifest.version);

t.test('what lies there is fresh', async (t) => {
  t.equal(Object.keys(reference).length, 3);
  for (const [file, text] of Object.entries(reference))
    t.equal(
      await readFile(path.join(repositoryRoot, file), 'utf8'),
      text,
      `${file} is made by: npm run reference`,
    );
});

t.test('every command has examples, and everything is in both forms', (t) => {
  const { 'harness/docs/commands.md': page = '', 'harness/docs/imperm.1': manual = '' } = reference;
  const plain = manual.replaceAll('\\-', '-');
  const look = (command: Command, parents: readonly string[]): void => {
    const own = [...parents, command.name()];
    const name = own.join(' ');
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    if (command.commands.length === 0)
      t.match(help, /^Examples:\n {2}imperm /m, `${name} --help has examples`);
    t.ok(page.includes(`## ${name}\n`), name);
    for (const { flags } of command.options) {
      t.ok(page.includes(flags), flags);
      t.ok(plain.includes(flags), flags);
    }
    for (const each of command.commands) look(each, own);
  };
  look(program, []);
  t.notMatch(page + manual, repositoryRoot, 'no path of this checkout');
  t.end();
});

t.test('every key of the schema says what it is', (t) => {
  const page = reference['harness/docs/scenario-format.md'] ?? '';
  const keys = page.split('\n- **`').slice(1);
  t.ok(keys.length > 100, 'the keys are found');
  t.strictSame(
    keys.filter((key) => !/^.*<br>\n {2}(?!Default:|Example:)\S/.test(key)).map((key) => key.split('`')[0]),
    [],
  );
  t.end();
});

t.test('another command makes another reference', async (t) => {
  const other = new Command('imperm').description('x');
  other.command('brand-new').option('--shade <shade>', 'a colour');
  const { 'harness/docs/commands.md': page, 'harness/docs/imperm.1': manual } = await makeReference(
    other,
    '1',
  );
  t.match(page, /## imperm brand-new\n[^]*`--shade <shade>`: a colour/);
  t.match(manual, /\.SS imperm brand\\-new\n[^]*\\fB\\-\\-shade <shade>\\fR\na colour/);
});

const groff = await runProgram('sh', ['-c', 'command -v groff'], { okExitCodes: [0, 1, 127] });
const skip = groff.stdout === '' ? 'this host has no groff' : false;
t.test('man can read the manual page', { skip }, async (t) => {
  const file = path.join(repositoryRoot, 'harness/docs/imperm.1');
  const { stdout, stderr } = await runProgram('groff', ['-man', '-Tutf8', '-ww', file]);
  t.equal(stderr, '');
  t.match(stdout, /IMPERM\(1\)/);
});

t.test('every key of the schema is in the reference, with examples', (t) => {
  const page = reference['harness/docs/scenario-format.md'] ?? '';
  const { definitions } = scenarioJsonSchema() as { definitions: { whole: { properties: object } } };
  for (const key of Object.keys(definitions.whole.properties)) t.ok(page.includes(`**\`${key}\`**`), key);
  t.ok((page.match(/^ {2}Example:/gm) ?? []).length > 60, 'most have an example');
  t.end();
});
