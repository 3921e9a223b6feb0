import type { ScenarioFile } from '../../scenario/index.js';
import { quoteYaml, renderCommands } from './render-scenario.js';

/**
 * A scenario that differs from another one in nothing but its title and the number of its variants, with examples of what people
 * change.
 *
 * @param base The scenario that it extends.
 * @param options.file Name of the new file.
 * @param options.extends Path of that one's file, from the new file's folder.
 * @param options.schema Where an editor finds the schema.
 */
export function renderDifference(
  base: ScenarioFile,
  options: {
    readonly file: string;
    readonly title: string;
    readonly extends: string;
    readonly schema: string;
  },
): string {
  const isKnownBug = base.variants[0]?.scenario.knownBug !== undefined;
  const axes = Object.entries(base.axes).filter(([, values]) => values.length > 1);
  const firsts = axes.map(([axis, values]) => `${axis}: [${String(values[0])}]`);
  return [
    `# yaml-language-server: $schema=${options.schema}`,
    `# Everything that is not said here is as in ${base.name}: maps merge, lists and plain values replace, null takes away.`,
    ...renderCommands(options.file),
    '',
    '# The version of this format.',
    'imperm: 1',
    '# One line, for reports.',
    `title: ${quoteYaml(options.title)}`,
    '# The layout that this one differs from, by its path from here.',
    `extends: ${quoteYaml(options.extends)}`,
    ...(firsts.length === 0
      ? []
      : [
          '',
          '# Only its first variant. Without this line: all of them.',
          `matrix: { ${firsts.join(', ')} }`,
        ]),
    '',
    ...renderPersistence(base),
    '# A fault, put into the booted system between two boots, by a script beside this file.',
    '# steps: [boot, { run: break-it.sh }, reboot, power-cut, power-off]',
    '',
    '# More promises, and one that is not made although it would follow from the system.',
    '# promises:',
    '#   kept: [/srv]',
    '#   checks:',
    '#     - { name: greeting, title: the greeting is there, script: { text: test -e /home/greeting } }',
    '#   without: { no-failed-units: one fails by design }',
    '',
    ...(isKnownBug
      ? [
          '# The other one is there to show a fault, and so is this one, until this line is uncommented.',
          '# expect: null',
        ]
      : [
          '# A bug report: the layout has to fail, and in exactly these promises (npx imperm plan shows all).',
          '# expect: { verdict: known-bug, reason: what is wrong, broken: [root-wiped] }',
        ]),
    '',
    '# A lint of `imperm check` that is wrong here, or put up with.',
    '# lint: { without: { swap-in-the-clear: the machine never leaves the house } }',
    '',
  ].join('\n');
}

/** What persists in the other one, to be changed. */
function renderPersistence(base: ScenarioFile): string[] {
  const [store] = base.variants[0]?.scenario.system.persistence ?? [];
  if (store === undefined) return [];
  return [
    '# What persists: the whole list, because a list replaces.',
    '# system:',
    '#   persistence:',
    `#     ${quoteYaml(store.root)}:`,
    '#       directories:',
    ...[...new Set([...store.directories.map(({ path }) => path), '/var/lib/bluetooth'])].map(
      (path) => `#         - ${quoteYaml(path)}`,
    ),
    '',
  ];
}
