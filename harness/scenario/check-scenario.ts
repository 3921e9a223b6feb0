import { checkProvisioning } from './check-image.js';
import { formatPath } from './located.js';
import { parseDurationMs } from './quantity.js';
import type { RuleContext } from './rule-context.js';
import type { PromisesInput, ScenarioInput } from './schema.js';
import { checkSteps } from './check-steps.js';
import { checkSystem } from './check-system.js';

const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** Checks the rules that concern more than one value, or more of a value than its form. */
export function checkScenario(input: Partial<ScenarioInput>, context: RuleContext): void {
  for (const list of ['guests', 'source'] as const) checkDistinct([list], input[list] ?? [], context);
  checkMatrix(input, context);
  checkProvisioning(input, context);
  if (input.disks !== undefined && Object.keys(input.disks).length === 0 && context.isWhole(['disks'])) {
    context.report(['disks'], 'disks is empty: there would be nothing to install on');
  }
  if (input.steps !== undefined) checkSteps(input.steps, { input, context });
  checkDisks(input.disks ?? {}, context);
  checkHibernation(input, context);
  checkSecureBoot(input, context);
  checkNixModules(input, context);
  if (input.timeout !== undefined) checkTimeout(input.timeout, context);
  if (input.system !== undefined) checkSystem(input.system, context);
  if (input.promises !== undefined) checkPromises(input.promises, input.system, context);
}

function checkMatrix(input: Partial<ScenarioInput>, context: RuleContext): void {
  const { matrix, system } = input;
  if (matrix === undefined) return;
  for (const [axis, values] of Object.entries(matrix)) {
    checkDistinct(['matrix', axis], (values ?? []).map(String), context);
  }
  const encrypted = Object.keys(system?.luks ?? {}).length > 0;
  if (
    matrix.luks !== undefined &&
    system !== undefined &&
    !encrypted &&
    context.isWhole(['system', 'luks'])
  ) {
    context.report(['matrix', 'luks'], 'matrix.luks has nothing to vary: system.luks is empty');
  }
  const kinds = matrix.stage1 ?? [system?.stage1];
  const unlocks = matrix.luks ?? [];
  if (unlocks.length > 0 && unlocks.every((each) => each === 'tpm2') && !kinds.includes('systemd')) {
    context.report(
      ['matrix', 'luks'],
      "matrix.luks is tpm2 alone, and NixOS's scripted stage 1 knows nothing of TPMs",
    );
  }
}

function checkDistinct(path: readonly string[], values: readonly string[], context: RuleContext): void {
  for (const [index, value] of values.entries()) {
    if (values.indexOf(value) < index)
      context.report([...path, index], `${formatPath(path)} has "${value}" twice`);
  }
}

function checkDisks(disks: ScenarioInput['disks'], context: RuleContext): void {
  const [first, ...others] = Object.entries(disks);
  if (first?.[1].untouched === true)
    context.report(['disks', first[0], 'untouched'], 'the first disk is the one that is installed on');
  if (first?.[1].namespace !== undefined)
    context.report(
      ['disks', first[0], 'namespace'],
      'the first disk is namespace 1; others can be further ones',
    );
  const seen = new Set<number>();
  for (const [name, { namespace }] of others) {
    if (namespace === undefined) continue;
    if (seen.has(namespace))
      context.report(['disks', name, 'namespace'], `namespace ${String(namespace)} is taken by another disk`);
    seen.add(namespace);
  }
}

function checkHibernation(input: Partial<ScenarioInput>, context: RuleContext): void {
  const index = input.steps?.indexOf('hibernate') ?? -1;
  if (index < 0 || input.system === undefined || !context.isWhole(['system', 'swapDevices'])) return;
  if (input.system.swapDevices.some(({ randomEncryption }) => !randomEncryption)) return;
  context.report(
    ['steps', index],
    'a system hibernates into swap whose key outlasts the boot, and system.swapDevices has none',
  );
}

/** The kernel of the guest is Debian's, which locks itself down; that of NixOS does not. */
function checkSecureBoot({ matrix, steps }: Partial<ScenarioInput>, context: RuleContext): void {
  if (matrix?.firmware?.includes('secure-boot') !== true || steps?.includes('hibernate') !== true) return;
  context.report(
    ['matrix', 'firmware'],
    "matrix.firmware has secure-boot, and steps hibernate: the guest's kernel, which is Debian's, refuses to " +
      'hibernate under Secure Boot. In a file that extends another write "firmware: null".',
  );
}

/** The other guest would be another system than the scenario's. */
function checkNixModules({ system, guests }: Partial<ScenarioInput>, context: RuleContext): void {
  const path = ['system', 'nixModules'];
  const files = system?.nixModules ?? [];
  checkDistinct(path, files, context);
  if (files.length === 0 || guests === undefined || guests.includes('nixos')) return;
  if (!context.isWhole(['guests'])) return;
  context.report(
    path,
    `system.nixModules needs the guest nixos, and guests has only ${guests.join(', ')}: nothing could evaluate them`,
  );
}

function checkTimeout(timeout: string, context: RuleContext): void {
  const timeoutMs = parseDurationMs(timeout);
  if (timeoutMs <= 0) context.report(['timeout'], 'timeout must be longer than nothing');
  if (timeoutMs > MAX_TIMEOUT_MS) context.report(['timeout'], 'timeout must not be longer than 24h');
}

function checkPromises(
  promises: PromisesInput,
  system: ScenarioInput['system'] | undefined,
  context: RuleContext,
): void {
  const kept = promises.kept.map((each) =>
    typeof each === 'string' ? each : 'file' in each ? each.file : each.directory,
  );
  checkDistinct(['promises', 'kept'], kept, context);
  checkDistinct(['promises', 'gone'], promises.gone, context);
  for (const [index, { name }] of promises.checks.entries()) {
    if (promises.checks.findIndex((each) => each.name === name) < index)
      context.report(['promises', 'checks', index, 'name'], `promises.checks has "${name}" twice`);
  }
  for (const [index, path] of promises.gone.entries()) {
    if (kept.includes(path))
      context.report(['promises', 'gone', index], `${path} is promised to be kept, too`);
  }
  const hasNoRollback = system?.rollback === null && context.isWhole(['system', 'rollback']);
  if (promises.rollbackLog.length > 0 && hasNoRollback) {
    context.report(
      ['promises', 'rollbackLog'],
      'promises.rollbackLog promises a log of a rollback, and system.rollback is null. ' +
        'Take it out; in a file that extends another write "rollbackLog: null".',
    );
  }
}
