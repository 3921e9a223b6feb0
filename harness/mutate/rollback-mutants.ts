import {
  AFTER_RESUME,
  canHibernate,
  findRoot,
  type Rollback,
  type Scenario,
  type Script,
  STAGE1_HOOKS,
  type SystemModel,
} from '../scenario/index.js';
import { misspell } from './misspell.js';
import type { Mutant, Original } from './mutant.js';
import { mutateScript } from './script-mutants.js';
import type { ScriptNames } from './word-mutants.js';

const ROLLBACK = ['system', 'rollback'];
const ORDERS = ['before', 'default', 'after'] as const;
const LISTS = ['after', 'before', 'requires', 'wantedBy', 'requiredBy'] as const;

/** Units that systemd always starts behind another one of stage 1: who is before the first is before them, too. */
const FOLLOWERS: Readonly<Record<string, readonly string[]>> = {
  'sysroot.mount': ['initrd-root-fs.target', 'initrd-fs.target', 'initrd.target', 'initrd-cleanup.service'],
};

/** Mutants of what empties the root: when it is started, and what it does. */
export function mutateRollback(original: Original): readonly Mutant[] {
  const { scenario } = original;
  const { rollback, stage1 } = scenario.system;
  if (rollback === undefined) return [];
  const drop: Mutant = {
    id: 'rollback/drop',
    title: 'there is no rollback',
    missing: 'anything empties the root',
    place: rollback.place,
    edits: [{ at: ROLLBACK, remove: true }],
  };
  const start = stage1 === 'scripted' ? mutateHook(rollback, original) : mutateUnit(rollback, original);
  return [drop, ...start, ...mutateRollbackScript(original, rollback)];
}

function mutateUnit(rollback: Rollback, { source, scenario: { system } }: Original): readonly Mutant[] {
  const items = LISTS.flatMap((list) =>
    rollback[list].flatMap((item, index): Mutant[] => {
      const what = `rollback/${list}:${item}`;
      const at = [...ROLLBACK, list, index];
      const place = source.placeAt(at);
      const missing = `${rollback.unit} has ${list} = [ "${item}" ]`;
      const implied = whyImplied(rollback, list, item) ?? whyNothingComes(system, list, item);
      const equivalent = implied === undefined ? {} : { equivalent: implied };
      const wrong = misspell(item);
      return [
        {
          id: `${what}/drop`,
          title: `${rollback.unit} does not say ${list} = [ "${item}" ]`,
          missing,
          place,
          edits: [{ at, remove: true }],
          ...equivalent,
        },
        {
          id: `${what}/misspell`,
          title: `${rollback.unit} says ${list} = [ "${wrong}" ] for "${item}"`,
          missing,
          place,
          edits: [{ at, set: wrong }],
          // A dependency on what does not exist is an error; an order is none.
          ...(list === 'after' || list === 'before' ? equivalent : {}),
        },
      ];
    }),
  );
  const { after, before, unit, remainAfterExit, place } = rollback;
  const swap: Mutant = {
    id: 'rollback/after-before/swap',
    title: `${unit} says before what it is to be after, and after what it is to be before`,
    missing: `${unit} is after ${after.join(', ') || 'nothing'} and before ${before.join(', ') || 'nothing'}`,
    place,
    edits: [
      { at: [...ROLLBACK, 'after'], set: before },
      { at: [...ROLLBACK, 'before'], set: after },
    ],
  };
  const again: Mutant = {
    id: 'rollback/remainAfterExit/drop',
    title: `${unit} counts as stopped once it has run`,
    missing: `${unit} runs only once in a boot`,
    place: source.placeAt([...ROLLBACK, 'remainAfterExit']),
    edits: [{ at: [...ROLLBACK, 'remainAfterExit'], set: false }],
  };
  return [...items, ...(after.length + before.length > 0 ? [swap] : []), ...(remainAfterExit ? [again] : [])];
}

/** Why an item of a list says nothing that the others do not say. */
function whyImplied(rollback: Rollback, list: (typeof LISTS)[number], item: string): string | undefined {
  const others = rollback[list].filter((each) => each !== item);
  if (rollback[list].filter((each) => each === item).length > 1) return `${list} names ${item} twice`;
  const by = list === 'before' ? others.find((each) => FOLLOWERS[each]?.includes(item) === true) : undefined;
  return by === undefined ? undefined : `it is before ${by}, and systemd starts ${item} only after that`;
}

/** Why there is nothing that `after` waits for. */
function whyNothingComes(
  system: SystemModel,
  list: (typeof LISTS)[number],
  item: string,
): string | undefined {
  return list === 'after' && AFTER_RESUME.includes(item) && !canHibernate(system)
    ? `what touches a disk before ${item} is the resume from hibernation, and this system has nothing to sleep on`
    : undefined;
}

function mutateHook({ scripted, place }: Rollback, { source }: Original): readonly Mutant[] {
  const at = [...ROLLBACK, 'scripted'];
  const written = source.valueAt(at) as Readonly<Record<string, unknown>> | undefined;
  const hooks = STAGE1_HOOKS.filter((hook) => hook !== scripted.hook).map((hook): Mutant => ({
    id: `rollback/hook/${hook}`,
    title: `the rollback stands in boot.initrd.${hook}, not in ${scripted.hook}`,
    missing: `the rollback is done at the point of ${scripted.hook}, and not at that of ${hook}`,
    place,
    edits: [{ at, set: { ...written, hook } }],
  }));
  const orders = ORDERS.filter((order) => order !== scripted.order).map((order): Mutant => ({
    id: `rollback/order/${order}`,
    title: `the rollback has the order "${order}" in boot.initrd.${scripted.hook}, not "${scripted.order}"`,
    missing: `in ${scripted.hook} the rollback comes ${scripted.order === 'before' ? 'before' : 'after'} what NixOS does there itself`,
    place,
    edits: [{ at, set: { ...written, order } }],
  }));
  return [...hooks, ...orders];
}

function mutateRollbackScript({ source, scenario }: Original, rollback: Rollback): readonly Mutant[] {
  const isScripted = scenario.system.stage1 === 'scripted';
  const script: Script = isScripted ? rollback.scripted.script : rollback.script;
  const hook = [...ROLLBACK, 'scripted', 'script'];
  const at = isScripted && source.valueAt(hook) !== undefined ? hook : [...ROLLBACK, 'script'];
  const root = findRoot(scenario.system.fileSystems);
  const log = scenario.promises.find((promise) => promise.kind === 'rollback-log');
  return mutateScript({
    what: 'rollback/script',
    script,
    edit: (text) => ({ at, set: { text } }),
    told: { lines: log?.lines ?? [], checks: checkTexts(scenario) },
    ...(root === undefined ? {} : { root }),
    isBusybox: isScripted,
    names: namesOf(scenario),
  });
}

function checkTexts({ promises }: Scenario): readonly string[] {
  return promises.flatMap((promise) => (promise.kind === 'check' ? [promise.script.text] : []));
}

/** Devices and subvolumes of a layout. */
export function namesOf({ system }: Scenario): ScriptNames {
  const { fileSystems, luks, rollback } = system;
  const devices = [
    ...fileSystems.map(({ device }) => device),
    ...luks.flatMap(({ name, device }) => [`/dev/mapper/${name}`, device]),
  ].filter((device) => device.startsWith('/dev/'));
  const root = findRoot(fileSystems);
  const subvolumes = fileSystems.flatMap(({ subvolume }) =>
    subvolume === undefined || subvolume === '' ? [] : [subvolume],
  );
  const kept = subvolumes.find((name) => name !== root?.subvolume);
  const blank = rollback?.blankSnapshot;
  return {
    devices: [...new Set(devices)],
    subvolumes: [...new Set([...subvolumes, ...(blank === undefined ? [] : [blank])])],
    kept: new Map(
      kept === undefined
        ? []
        : [root?.subvolume, blank].flatMap((name) => (name === undefined ? [] : [[name, kept] as const])),
    ),
  };
}
