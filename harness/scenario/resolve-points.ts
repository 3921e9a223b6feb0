import { formatPlace } from '../core/index.js';
import { combine, type Axes, type AxisName, type AxisValues } from './axes.js';
import { placeOf, type Located } from './located.js';
import type { ScenarioFile, SystemModel, Variant } from './model.js';
import type { Problem } from './problem.js';
import type { ScenarioScripts } from './read-scripts.js';
import { resolveImage } from './resolve-image.js';
import { resolvePromises, resolveScenario, type ResolvedPromises } from './resolve-scenario.js';
import { resolveSystem } from './resolve-system.js';
import type { PromisesInput, ScenarioInput, SystemInput } from './schema.js';

/** One point of the matrix, with what the system is and promises there. */
export interface Point {
  readonly axes: AxisValues;
  readonly system: SystemModel;
  readonly promised: ResolvedPromises;
}

export interface ResolvedPoints {
  readonly axes: Axes;
  readonly points: readonly Point[];
  /** Each once, and only what is a problem at every point: a promise may follow from the system at some points alone. */
  readonly problems: readonly Problem[];
}

/**
 * Makes the system and its promises for every point of a scenario's matrix.
 *
 * @param input The sections of the scenario that are well-formed.
 * @param context.root The scenario, for the places.
 * @param context.scripts Its scripts; that of the rollback must be there when there is one.
 */
export function resolvePoints(
  input: {
    readonly matrix?: ScenarioInput['matrix'] | undefined;
    readonly system: SystemInput;
    readonly disks?: ScenarioInput['disks'] | undefined;
    readonly image?: ScenarioInput['image'];
    readonly promises: PromisesInput;
    readonly expect?: ScenarioInput['expect'];
  },
  context: { readonly root: Located; readonly scripts: ScenarioScripts },
): ResolvedPoints {
  const { root, scripts } = context;
  const axes: Axes = {
    stage1: input.matrix?.stage1 ?? [input.system.stage1],
    disk: input.matrix?.disk ?? ['virtio'],
    sectorSize: input.matrix?.sectorSize ?? [512],
    luks: input.matrix?.luks ?? [Object.keys(input.system.luks).length === 0 ? 'none' : 'passphrase'],
    firmware: input.matrix?.firmware ?? ['uefi'],
  };
  const points = combine(axes).map((values): Point => {
    const bare = resolveSystem(input.system, {
      placeAt: (at) => placeOf(root, at),
      rollback: scripts.rollback,
      nixModules: scripts.nixModules,
      axes: values,
    });
    const system: SystemModel =
      input.image === undefined
        ? bare
        : { ...bare, image: resolveImage(input.image, bare.fileSystems, placeOf(root, ['image'])) };
    const promised = resolvePromises(system, {
      input: input.system,
      promises: input.promises,
      checkScripts: scripts.checks,
      steps: scripts.steps,
      disks: input.disks ?? {},
      root,
    });
    return { axes: values, system, promised };
  });
  const placesOf = (point: Point): string[] => point.promised.problems.map(({ place }) => formatPlace(place));
  const [first] = points;
  const problems = (first?.promised.problems ?? []).filter(({ place }) =>
    points.every((point) => placesOf(point).includes(formatPlace(place))),
  );
  return { axes, points, problems: [...problems, ...checkExpected(input.expect, points, root)] };
}

/** What is to be broken has to be promised. */
function checkExpected(
  expect: ScenarioInput['expect'],
  points: readonly Point[],
  root: Located,
): readonly Problem[] {
  const known = new Set([
    'installs',
    'boots',
    ...points.flatMap(({ promised }) => promised.promises.map(({ id }) => id)),
  ]);
  return (['broken', 'sometimes'] as const).flatMap((list) =>
    (expect?.[list] ?? []).flatMap((id, index) =>
      known.has(id)
        ? []
        : [
            {
              place: placeOf(root, ['expect', list, index]),
              message: `expect.${list} names "${id}", which the scenario does not promise. Its promises are: ${[...known].join(', ')}.`,
            },
          ],
    ),
  );
}

/**
 * Makes the variants of a scenario in which no problem was found.
 *
 * @param input The whole scenario.
 * @param parts.named The axes that the file names.
 */
export function resolveVariants(
  input: ScenarioInput,
  parts: {
    readonly name: string;
    readonly file: string;
    readonly root: Located;
    readonly scripts: ScenarioScripts;
    readonly resolved: ResolvedPoints;
  },
): ScenarioFile {
  const { name, file, scripts } = parts;
  const { axes, points } = parts.resolved;
  const named = (Object.keys(axes) as AxisName[]).filter((axis) => input.matrix[axis] !== undefined);
  const variants = points.map((point): Variant => {
    const texts = {
      stage1: point.axes.stage1,
      disk: point.axes.disk,
      sectorSize: String(point.axes.sectorSize),
      luks: point.axes.luks,
      firmware: point.axes.firmware,
    };
    const show = (axis: AxisName): string => `${axis}=${texts[axis]}`;
    return {
      id: named.length === 0 ? name : `${name}[${named.map(show).join(',')}]`,
      axes: texts,
      choices: named.filter((axis) => axes[axis].length > 1).map(show),
      scenario: resolveScenario(input, {
        ...point,
        name,
        file,
        ...(scripts.install === undefined ? {} : { install: scripts.install }),
        steps: scripts.steps,
        root: parts.root,
      }),
    };
  });
  return { name, title: input.title, file, axes, variants };
}
