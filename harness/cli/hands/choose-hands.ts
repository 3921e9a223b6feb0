import { HarnessError } from '../../core/index.js';
import { findStep, nameSteps, type Plan } from '../../plan/index.js';
import type { Hands, KeepWhen } from '../../run/index.js';
import type { TargetOptions } from '../options.js';

export interface HandsOptions {
  readonly keep?: KeepWhen;
  readonly shellOnFail?: boolean;
  readonly pauseAt?: string;
  readonly vnc?: boolean;
}

/** What is there for a person. */
export interface HandsSurroundings {
  /** Somebody sits at a terminal, and both keyboard and screen are ours. */
  readonly isInteractive: boolean;
}

/** The hands that were asked for; undefined: none. Without how a machine is given to a person. */
export type ChosenHands = Omit<Hands, 'hold'>;

/**
 * What a person wants of the machines of a run.
 *
 * @throws {HarnessError} USAGE for what the target cannot do, and when a machine is to be held and nobody could take it.
 */
export function chooseHands(
  options: HandsOptions & TargetOptions & { readonly jobs?: string; readonly tap: boolean },
  { isInteractive }: HandsSurroundings,
): ChosenHands | undefined {
  const { keep, shellOnFail = false, pauseAt, vnc = false, target = 'qemu', jobs, tap } = options;
  const holding = [
    ...(shellOnFail ? ['--shell-on-fail'] : []),
    ...(pauseAt === undefined ? [] : ['--pause-at']),
  ];
  const given = [...(keep === undefined ? [] : ['--keep']), ...holding, ...(vnc ? ['--vnc'] : [])];
  const [first] = given;
  if (first === undefined) return undefined;
  if (target !== 'qemu')
    throw new HarnessError('USAGE', `${first} takes imperm's own QEMU, and not --target ${target}`, {
      hint:
        target === 'hardware'
          ? 'The disk of a real machine stays in it, and its console is yours: reset it and look.'
          : 'Run the same variant without --target libvirt: the machine is the same.',
    });
  const [hold] = holding;
  if (hold === undefined && vnc)
    throw new HarnessError('USAGE', '--vnc shows the screen of a machine that is held', {
      hint: 'Add --shell-on-fail or --pause-at; `imperm shell --vnc` shows that of a kept machine.',
    });
  if (hold !== undefined && !isInteractive)
    throw new HarnessError(
      'USAGE',
      `${hold} gives a machine to whoever sits at the terminal, and there is none`,
      {
        hint: 'Without a terminal take --keep: `imperm shell` opens the machine later.',
      },
    );
  if (hold !== undefined && tap)
    throw new HarnessError('USAGE', `${hold} and --tap both want standard output`);
  if (hold !== undefined && jobs !== '1')
    throw new HarnessError('USAGE', `${hold} holds one machine, while others would run on: add -j 1`);
  return {
    shellOnFail,
    vnc,
    ...(keep === undefined ? {} : { keep }),
    ...(pauseAt === undefined ? {} : { pauseAt }),
  };
}

/**
 * Sees to it that there is a step at which a machine is to be held.
 *
 * @throws {HarnessError} USAGE when no variant has it.
 */
export function checkPause(name: string | undefined, plans: readonly Plan[]): void {
  if (name === undefined) return;
  const steps = plans.flatMap((plan) => ('skip' in plan ? [] : [plan.steps]));
  if (steps.some((each) => findStep(each, name) !== undefined)) return;
  const names = [...new Set(steps.flatMap(nameSteps))];
  throw new HarnessError('USAGE', `--pause-at: no variant has the step "${name}"`, {
    hint: `There are: ${names.join(', ')}; or the number that \`imperm plan\` prints before a step.`,
  });
}

/** `run --keep` alone means `--keep=fail`, whatever word comes next: a scenario's name is no value of it. */
export function completeKeep(argv: readonly string[]): string[] {
  // Another command has an option of this name.
  if (argv[0] !== 'run') return [...argv];
  const values: readonly string[] = ['fail', 'always'];
  return argv.map((word, index) =>
    word === '--keep' && !values.includes(argv[index + 1] ?? '') ? '--keep=fail' : word,
  );
}
