import { derivePromises, type ExplicitPromises } from './derive-promises.js';
import type { StatedOwnership } from './derive-kept.js';
import { placeOf, type Located } from './located.js';
import type { AxisValues } from './axes.js';
import type { Scenario, Step, SystemModel } from './model.js';
import type { Script } from './script.js';
import { suggest, type Problem } from './problem.js';
import type { ConsoleAllowance, ScenarioPromise } from './promise.js';
import { parseDurationMs, parseSizeMiB } from './quantity.js';
import type { PromisesInput, ScenarioInput, SystemInput } from './schema.js';

export interface ResolvedPromises {
  readonly promises: readonly ScenarioPromise[];
  readonly consoleAllow: readonly ConsoleAllowance[];
  readonly problems: readonly Problem[];
}

/**
 * Makes the promises of a scenario whose system is sound.
 *
 * @param system The system.
 * @param options.input The system as written.
 * @param options.promises The promises as written.
 * @param options.checkScripts The scripts of `promises.checks`, in their order.
 * @param options.steps What is done with the machine.
 * @param options.disks The disks of the machine as written.
 * @param options.root The scenario, for the places.
 * @returns The promises, and a problem for each in `without` that would not be made anyway.
 */
export function resolvePromises(
  system: SystemModel,
  options: {
    readonly input: SystemInput;
    readonly promises: PromisesInput;
    readonly checkScripts: readonly Script[];
    readonly steps: readonly Step[];
    readonly disks: ScenarioInput['disks'];
    readonly root: Located;
  },
): ResolvedPromises {
  const { promises: input, root } = options;
  const explicit = readExplicit(input, {
    root,
    scripts: options.checkScripts,
    steps: options.steps,
    disks: options.disks,
  });
  const all = derivePromises(system, explicit, readOwnership(options.input));
  const named = new Set([
    ...explicit.kept.map((each) => `kept:${each.path}`),
    ...explicit.gone.map((each) => `gone:${each.path}`),
  ]);
  const problems: Problem[] = [];
  for (const id of Object.keys(input.without)) {
    const place = placeOf(root, ['promises', 'without', id], 'key');
    if (named.has(id)) {
      problems.push({ place, message: `promises.without takes back "${id}", which promises itself makes` });
    } else if (!all.some((promise) => promise.id === id)) {
      const known = all.map((promise) => promise.id);
      const advice = suggest(id, known) || ` Those that follow are: ${known.join(', ')}.`;
      problems.push({
        place,
        message: `promises.without names "${id}", which does not follow from the system.${advice}`,
      });
    }
  }
  return {
    promises: all.filter((promise) => input.without[promise.id] === undefined),
    consoleAllow: explicit.consoleAllow,
    problems,
  };
}

function readExplicit(
  input: PromisesInput,
  options: {
    readonly root: Located;
    readonly scripts: readonly Script[];
    readonly steps: readonly Step[];
    readonly disks: ScenarioInput['disks'];
  },
): ExplicitPromises {
  const untouched = Object.entries(options.disks).filter(([, each]) => each.untouched);
  const hibernation = options.steps.findIndex(({ kind }) => kind === 'hibernate');
  const placeAt = (...path: (string | number)[]) => placeOf(options.root, ['promises', ...path]);
  return {
    kept: input.kept.map((each, index) => {
      const place = placeAt('kept', index);
      if (typeof each === 'string') return { path: each, of: 'directory', place };
      return 'file' in each
        ? { path: each.file, of: 'file', place }
        : { path: each.directory, of: 'directory', place };
    }),
    gone: input.gone.map((path, index) => ({ path, place: placeAt('gone', index) })),
    ...(input.rollbackLog.length === 0
      ? {}
      : { rollbackLog: { lines: input.rollbackLog, place: placeAt('rollbackLog') } }),
    checks: input.checks.flatMap(({ name, title, fromBoot }, index) => {
      const script = options.scripts[index];
      return script === undefined ? [] : [{ name, title, script, fromBoot, place: placeAt('checks', index) }];
    }),
    untouched: untouched.map(([disk]) => ({ disk, place: placeOf(options.root, ['disks', disk]) })),
    ...(hibernation < 0 ? {} : { hibernatesAt: placeOf(options.root, ['steps', hibernation]) }),
    consoleAllow: input.console.map(({ class: failureClass, match, reason }, index) => ({
      class: failureClass,
      ...(match === undefined ? {} : { match }),
      reason,
      place: placeAt('console', index),
    })),
    place: placeAt(),
  };
}

function readOwnership(system: SystemInput): ReadonlyMap<string, StatedOwnership> {
  const stated = new Map<string, StatedOwnership>();
  for (const { directories } of Object.values(system.persistence)) {
    for (const each of directories) {
      if (typeof each === 'string') continue;
      const { directory, user, group, mode } = each;
      stated.set(directory, {
        ...(user === undefined ? {} : { user }),
        ...(group === undefined ? {} : { group }),
        ...(mode === undefined ? {} : { mode: mode.padStart(4, '0') }),
      });
    }
  }
  return stated;
}

/** Makes the model of a scenario in which no problem was found, for one point of its matrix. */
export function resolveScenario(
  input: ScenarioInput,
  parts: {
    readonly name: string;
    readonly file: string;
    readonly install?: Script;
    readonly steps: readonly Step[];
    readonly system: SystemModel;
    readonly promised: ResolvedPromises;
    readonly axes: AxisValues;
    readonly root: Located;
  },
): Scenario {
  const { disk: bus, sectorSize: sectorBytes } = parts.axes;
  return {
    name: parts.name,
    title: input.title,
    file: parts.file,
    sources: input.source,
    guests: input.guests,
    machine: {
      memoryMiB: parseSizeMiB(input.machine.memory),
      ...(input.machine.cpus === undefined ? {} : { cpus: input.machine.cpus }),
    },
    disks: Object.entries(input.disks).map(([name, { size, namespace, untouched }]) => ({
      name,
      sizeMiB: parseSizeMiB(size),
      bus,
      sectorBytes,
      ...(namespace === undefined ? {} : { namespace }),
      untouched,
      place: placeOf(parts.root, ['disks', name]),
    })),
    ...(parts.install === undefined ? {} : { install: parts.install }),
    system: parts.system,
    promises: parts.promised.promises,
    consoleAllow: parts.promised.consoleAllow,
    steps: parts.steps,
    ...(input.expect === undefined
      ? {}
      : {
          knownBug: {
            reason: input.expect.reason,
            ...(input.expect.symptom === undefined ? {} : { symptom: input.expect.symptom }),
            broken: input.expect.broken,
            sometimes: input.expect.sometimes,
            place: placeOf(parts.root, ['expect']),
          },
        }),
    lintExceptions: Object.entries(input.lint.without).map(([lint, reason]) => ({
      lint,
      reason,
      place: placeOf(parts.root, ['lint', 'without', lint], 'key'),
    })),
    timeoutMs: parseDurationMs(input.timeout),
  };
}
