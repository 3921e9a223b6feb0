/**
 * The layers of the harness: which folders each folder may import. Everything else is forbidden, siblings
 * included, so a folder that is not listed here cannot be imported at all.
 */
const LAYERS = {
  core: [],
  scenario: ['core'],
  host: ['core'],
  lint: ['core', 'scenario'],
  plan: ['core', 'scenario', 'host'],
  guest: ['core', 'scenario', 'host'],
  nix: ['core', 'scenario', 'host', 'guest'],
  target: ['core', 'scenario', 'host'],
  probe: ['core', 'scenario', 'host'],
  record: ['core', 'scenario', 'host'],
  mutate: ['core', 'scenario', 'lint', 'record'],
  run: ['core', 'scenario', 'host', 'plan', 'guest', 'nix', 'target', 'probe', 'record'],
  report: ['core', 'record'],
  cli: [
    'core',
    'scenario',
    'host',
    'lint',
    'plan',
    'guest',
    'nix',
    'target',
    'probe',
    'record',
    'mutate',
    'run',
    'report',
  ],
  tooling: ['core', 'bin'],
  // The bootstrap runs before anything is compiled or installed.
  bin: [],
};

const layerRules = Object.entries(LAYERS).map(([folder, allowed]) => ({
  name: `layer-${folder}`,
  comment: `harness/${folder} may import ${allowed.length === 0 ? 'no other folder' : `only ${allowed.join(', ')}`}.`,
  severity: 'error',
  from: { path: `^harness/${folder}/` },
  to: { path: '^harness/', pathNot: `^harness/(${[folder, ...allowed].join('|')})/` },
}));

const TESTS = '[.]test[.]ts$';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'known-folder',
      comment: 'Every folder of the harness has its place in the layers: add it to LAYERS.',
      severity: 'error',
      from: { path: '^harness/', pathNot: `^harness/(${Object.keys(LAYERS).join('|')})/` },
      to: {},
    },
    {
      name: 'front-door',
      comment: "Another folder's things come through its index.ts.",
      severity: 'error',
      from: { path: '^harness/([^/]+)/' },
      to: {
        path: '^harness/[^/]+/',
        pathNot: ['^harness/$1/', '^harness/[^/]+/index[.]ts$', '^harness/bin/'],
      },
    },
    {
      name: 'front-door-below',
      comment: "A sub-folder's things come through its index.ts.",
      severity: 'error',
      from: { path: '^harness/([^/]+)/[^/]+$' },
      to: { path: '^harness/$1/.+/', pathNot: '^harness/$1/[^/]+/index[.]ts$' },
    },
    {
      name: 'front-door-beside',
      comment: "Another sub-folder's things come through its index.ts.",
      severity: 'error',
      from: { path: '^harness/([^/]+)/([^/]+)/' },
      to: { path: '^harness/$1/[^/]+/', pathNot: ['^harness/$1/$2/', '^harness/$1/[^/]+/index[.]ts$'] },
    },
    {
      name: 'no-cycle',
      comment: 'No cycles, types included.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-test-import',
      comment: 'A test is never imported.',
      severity: 'error',
      from: {},
      to: { path: TESTS },
    },
    {
      name: 'runtime-packages',
      comment: 'What runs imports only what is installed for running; tests and tooling may use the rest.',
      severity: 'error',
      from: { path: '^harness/', pathNot: [TESTS, '^harness/tooling/'] },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'resolvable',
      comment: 'An import leads to a file.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^[.]build/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
