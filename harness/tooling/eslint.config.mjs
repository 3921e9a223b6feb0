import js from '@eslint/js';
import tseslint from 'typescript-eslint';

// Numbers that measure something: the unit belongs into the name.
const MEASURE =
  '/(^|[a-z])([tT]imeout|[dD]elay|[dD]uration|[iI]nterval|[eE]lapsed|[dD]eadline|[uU]ptime|[aA]ge|[mM]emory|[sS]ize)$/';
const UNIT_MESSAGE =
  'A number that measures something says its unit in its name: bootTimeoutMs, memoryMiB, sizeBytes.';

/** Numbers by annotation (properties, parameters, variables) and by a literal value. */
const unitRules = [
  `:matches(TSPropertySignature, PropertyDefinition)[key.name=${MEASURE}][typeAnnotation.typeAnnotation.type='TSNumberKeyword']`,
  `Identifier[name=${MEASURE}][typeAnnotation.typeAnnotation.type='TSNumberKeyword']`,
  `VariableDeclarator[id.name=${MEASURE}]:matches([init.type='Literal'][init.raw=/^[0-9]/], [init.type='BinaryExpression'][init.operator=/^[*/]$/])`,
].map((selector) => ({ selector, message: UNIT_MESSAGE }));

const exportRules = [
  'ExportDefaultDeclaration',
  "ExportSpecifier[exported.name='default']",
  'TSExportAssignment',
].map((selector) => ({ selector, message: 'No default exports: a thing has one name everywhere.' }));

const environmentRules = [
  "MemberExpression[object.name='process'][property.name='env']",
  "MemberExpression[object.name='process'][property.value='env']",
  "MemberExpression[object.property.name='process'][property.name='env']",
  "VariableDeclarator[init.name='process'] > ObjectPattern > Property[key.name='env']",
  "ImportDeclaration[source.value=/^(node:)?process$/] > ImportSpecifier[imported.name='env']",
].map((selector) => ({
  selector,
  message: 'Only harness/core/env.ts reads the environment: take what you need as a parameter.',
}));

const timerRules = [
  {
    selector: "CallExpression[callee.object.name='AbortSignal'][callee.property.name='timeout']",
    message:
      'AbortSignal.timeout() does not keep the process alive: it can end before the time is over. Use a Budget from core.',
  },
];

/** Packages and modules that exactly one file of the harness may import. */
const OWNED = [
  {
    name: 'execa',
    owners: ['harness/core/process.ts'],
    message: 'Only harness/core/process.ts starts programs: use runProgram.',
  },
  {
    name: 'node:child_process',
    owners: [],
    message: 'Only harness/core/process.ts starts programs, by execa: use runProgram.',
  },
  {
    name: 'child_process',
    owners: [],
    message: 'Only harness/core/process.ts starts programs, by execa: use runProgram.',
  },
  { name: 'ssh2', owners: ['harness/target/shell.ts'], message: 'Only harness/target/shell.ts speaks SSH.' },
];

/** `no-restricted-imports` for a file: later settings replace earlier ones, so each owner gets the whole rule. */
function restrictedImports(owner) {
  const paths = OWNED.filter((entry) => !entry.owners.includes(owner)).map(({ name, message }) => ({
    name,
    message,
  }));
  return { 'no-restricted-imports': ['error', { paths }] };
}

function restrictedSyntax(...lists) {
  return { 'no-restricted-syntax': ['error', ...lists.flat()] };
}

export default tseslint.config(
  { ignores: ['.build/', 'node_modules/', 'reports/', '.tap/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['harness/**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: process.cwd() } },
    rules: {
      ...restrictedImports('any other file'),
      ...restrictedSyntax(unitRules, exportRules, environmentRules, timerRules),
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/naming-convention': [
        'error',
        { selector: 'typeLike', format: ['PascalCase'], trailingUnderscore: 'allow' },
        { selector: 'function', format: ['camelCase'] },
      ],
      'default-case-last': 'error',
      eqeqeq: 'error',
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      // At most two positional arguments and one options object.
      'max-params': ['error', 4],
      'no-console': 'error',
      'prefer-const': 'error',
    },
  },
  { files: ['harness/core/env.ts'], rules: restrictedSyntax(unitRules, exportRules, timerRules) },
  ...OWNED.flatMap(({ owners }) => owners).map((file) => ({ files: [file], rules: restrictedImports(file) })),
  {
    // The bootstrap and the gate start programs before anything of the harness is built; tests start the command line as
    // a person does.
    files: ['harness/tooling/**/*.ts', 'harness/cli/cli-process.ts'],
    rules: { ...restrictedSyntax(unitRules, exportRules, timerRules), 'no-restricted-imports': 'off' },
  },
  {
    files: ['harness/**/*.test.ts'],
    rules: {
      // A subtest is awaited by its parent; everything else in a test is still awaited by hand.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: [{ from: 'package', package: '@tapjs/test', name: ['test'] }] },
      ],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      'max-lines': 'off',
      'no-control-regex': 'off',
      // A test may play the outside world: a peer, a server, a signal, an environment.
      'no-restricted-imports': 'off',
      ...restrictedSyntax(unitRules, exportRules),
    },
  },
  {
    // What begins with a capital is a part of a page.
    files: ['harness/**/*.tsx'],
    rules: {
      '@typescript-eslint/naming-convention': [
        'error',
        { selector: 'typeLike', format: ['PascalCase'] },
        { selector: 'function', format: ['camelCase', 'PascalCase'] },
      ],
    },
  },
  // Runs in a browser.
  {
    files: ['harness/report/html/*.js'],
    languageOptions: { globals: { document: 'readonly', location: 'readonly', URLSearchParams: 'readonly' } },
  },
  {
    files: ['harness/**/*.{mjs,cjs}'],
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly', URL: 'readonly', AbortController: 'readonly' },
    },
    rules: restrictedSyntax(unitRules),
  },
);
