import { resolveFault } from './fault.js';
import { placeOf, type Located, type Path } from './located.js';
import type { Step } from './model.js';
import type { Script } from './script.js';
import { readScript } from './read-script.js';
import type { RollbackScripts } from './resolve-system.js';
import type { RuleContext } from './rule-context.js';
import type { ScenarioInput, ScriptInput } from './schema.js';

/** Every script that a scenario names, and every other text. */
export interface ScenarioScripts {
  /** Absent when it is not named, or cannot be read. */
  readonly install?: Script;
  readonly rollback?: RollbackScripts;
  /** The steps whose scripts could be read. */
  readonly steps: readonly Step[];
  /** Those of `promises.checks`, in their order. */
  readonly checks: readonly Script[];
  /** The texts of `system.nixModules`. */
  readonly nixModules: readonly Script[];
}

/** Reads all scripts of a scenario. Those that cannot be read are problems in `rules`, and are left out. */
export async function readScripts(
  input: Partial<ScenarioInput>,
  context: { readonly root: Located; readonly folders: readonly string[]; readonly rules: RuleContext },
): Promise<ScenarioScripts> {
  const { root, folders, rules } = context;
  const take = async (at: Path, given: ScriptInput | undefined): Promise<Script | undefined> => {
    if (given === undefined) return undefined;
    const script = await readScript(root, at, { input: given, folders });
    if ('text' in script) return script;
    rules.problems.push(script);
    return undefined;
  };
  const installs = await Promise.all(
    Array.isArray(input.install)
      ? input.install.map((each, index) => take(['install', index], each))
      : [take(['install'], input.install)],
  );
  const install = joinScripts(installs.filter((each) => each !== undefined));
  const { rollback } = input.system ?? {};
  const service = await take(['system', 'rollback', 'script'], rollback?.script);
  const hook = await take(['system', 'rollback', 'scripted', 'script'], rollback?.scripted.script);
  const steps: Step[] = [];
  for (const [index, step] of (input.steps ?? []).entries()) {
    if (typeof step === 'string') {
      steps.push({ kind: step });
      continue;
    }
    const place = placeOf(root, ['steps', index]);
    if ('power-cut-at' in step) {
      steps.push({ kind: 'power-cut-at', text: step['power-cut-at'], during: step.during, place });
      continue;
    }
    if ('fault' in step) {
      if (Object.keys(step.fault).length !== 1) continue;
      const given = step.fault['run-on-disk'];
      const script = await take(['steps', index, 'fault', 'run-on-disk'], given);
      if (given !== undefined && script === undefined) continue;
      const firstDisk = Object.keys(input.disks ?? {})[0] ?? '';
      const fault = resolveFault(step.fault, {
        place,
        firstDisk,
        ...(script === undefined ? {} : { script }),
      });
      steps.push({ kind: 'fault', fault });
      continue;
    }
    const script = await take(['steps', index, 'run'], step.run);
    if (script !== undefined) steps.push({ kind: 'run', script });
  }
  const checks: Script[] = [];
  for (const [index, check] of (input.promises?.checks ?? []).entries()) {
    const script = await take(['promises', 'checks', index, 'script'], check.script);
    if (script !== undefined) checks.push(script);
  }
  const nixModules: Script[] = [];
  for (const [index, file] of (input.system?.nixModules ?? []).entries()) {
    const text = await take(['system', 'nixModules', index], file);
    if (text !== undefined) nixModules.push(text);
  }
  return {
    ...(install === undefined ? {} : { install }),
    ...(service === undefined ? {} : { rollback: { service, hook: hook ?? service } }),
    steps,
    checks,
    nixModules,
  };
}

/** One script that does what all do, with the first line, the options and the variables of the first. */
function joinScripts(scripts: readonly Script[]): Script | undefined {
  const [first] = scripts;
  return first === undefined ? undefined : { ...first, text: scripts.map(({ text }) => text).join('\n') };
}
