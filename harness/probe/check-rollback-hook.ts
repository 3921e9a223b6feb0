import type { RollbackOrderPromise, StageOneHook } from '../scenario/index.js';
import type { JournalLine } from './evidence.js';
import type { Finding } from './finding.js';
import { formatJournalLine, formatUs, STAGE1_SCRIPT, type StageOneContext } from './stage-one-log.js';

type Outcome = Omit<Finding, 'promise' | 'boot'>;

/** What scripted stage 1 itself says. Nothing marks what the commands of the configuration write: it is the rest. */
const OWN_WORDS = new RegExp(
  [
    '<<< NixOS Stage [12] >>>',
    'loading module \\S+\\.\\.\\.',
    'Starting systemd-udevd version .*',
    'running udev\\.\\.\\.',
    'starting device mapper and LVM\\.\\.\\.',
    '(?:Waiting \\d+ seconds for|waiting for) device \\S+ to appear\\.\\.\\..*',
    'Timed out waiting for device .*',
    'Passphrase for \\S+: .*',
    'Verifying passphrase for \\S+\\.\\.\\..*',
    'Key File \\S+ failed!',
    'Scanning for Btrfs filesystems',
    'registered: .*',
    'checking \\S+\\.\\.\\.',
    'mounting \\S+ on \\S+\\.\\.\\.',
  ]
    .map((words) => `^(?:${words})$`)
    .join('|'),
);

const UDEV = 'running udev...';
const DEVICE_MAPPER = 'starting device mapper and LVM...';
const MOUNTING = /^(?:waiting for device \S+ to appear|mounting \S+ on \S+)\.\.\./;
/** Where stage 1 has failed: what comes then is its menu. */
const FAILED = /^An error occurred in stage 1 of the boot process/;

/** The part of the log in which commands of the configuration can have written. */
function windowOf(hook: StageOneHook, messages: readonly string[]): readonly [number, number] {
  const at = (index: number): number => (index < 0 ? messages.length : index);
  const udev = at(messages.indexOf(UDEV));
  const mapper = at(messages.indexOf(DEVICE_MAPPER));
  const mounts = messages.flatMap((message, index) => (MOUNTING.test(message) ? [index] : []));
  const failed = at(messages.findIndex((message) => FAILED.test(message)));
  switch (hook) {
    case 'preDeviceCommands':
      return [0, udev];
    case 'preLVMCommands':
      return [udev, mapper];
    case 'postDeviceCommands':
    case 'postResumeCommands':
      return [mapper, mounts[0] ?? failed];
    case 'postMountCommands':
      return [mounts.at(-1) ?? failed, failed];
  }
}

function stageOneLines(context: StageOneContext): readonly JournalLine[] {
  return context.evidence.journal.filter(({ writer }) => writer === STAGE1_SCRIPT);
}

/** What the commands of the rollback wrote in this boot. */
export function hookLines(context: StageOneContext): JournalLine[] {
  const hook = context.scenario.system.rollback?.scripted.hook;
  if (hook === undefined) return [];
  const lines = stageOneLines(context);
  const [begin, end] = windowOf(
    hook,
    lines.map(({ message }) => message),
  );
  return lines.slice(begin, end).filter(({ message }) => !OWN_WORDS.test(message));
}

/** The log of stage 1, to be shown. */
export function hookOrderEvidence(context: StageOneContext): string[] {
  return stageOneLines(context)
    .filter(({ message }) => !message.startsWith('loading module'))
    .map(formatJournalLine);
}

/** What the rollback wrote stands behind the word that the root is unlocked, and before the word that it is mounted. */
export function checkHookOrder(
  promise: Extract<RollbackOrderPromise, { stage1: 'scripted' }>,
  context: StageOneContext,
): Outcome {
  const lines = stageOneLines(context);
  const evidence = hookOrderEvidence(context);
  const expected = [...promise.unlocks.map((device) => `${device} unlocked`), 'rollback', '/ mounted'].join(
    ' < ',
  );
  const fail = (found: string, cause: string): Outcome => ({
    status: 'fail',
    expected,
    found,
    cause,
    evidence,
  });
  const written = hookLines(context);
  const [first, last] = [written[0], written.at(-1)];
  if (first === undefined || last === undefined)
    return fail('nothing in the log of stage 1 was written by the rollback', explainHook(context));
  const steps: string[] = [];
  for (const device of promise.unlocks) {
    const unlocked = lines.find(
      ({ message }) =>
        message.startsWith(`Verifying passphrase for ${device}...`) && message.endsWith(' - success'),
    );
    if (unlocked === undefined)
      return fail(`stage 1 never said that ${device} is unlocked`, `Nothing unlocked ${device}.`);
    if (lines.indexOf(first) < lines.indexOf(unlocked))
      return fail(
        `the rollback wrote "${first.message}" at ${formatUs(first.monotonicUs)}, before ${device} was unlocked at ${formatUs(unlocked.monotonicUs)}`,
        explainHook(context),
      );
    steps.push(`${device} unlocked ${formatUs(unlocked.monotonicUs)}`);
  }
  steps.push(`rollback ${formatUs(first.monotonicUs)}–${formatUs(last.monotonicUs)}`);
  const mounted = lines.find(({ message }) => message === `mounting ${promise.root} on /...`);
  if (mounted !== undefined && lines.indexOf(mounted) < lines.indexOf(last))
    return fail(
      `the rollback wrote "${last.message}" at ${formatUs(last.monotonicUs)}, after / was mounted at ${formatUs(mounted.monotonicUs)}`,
      explainHook(context),
    );
  if (mounted === undefined)
    return fail(`stage 1 never came to mounting ${promise.root}`, 'Stage 1 ended before. Its log is below.');
  return { status: 'pass', found: [...steps, `/ mounted ${formatUs(mounted.monotonicUs)}`].join(', ') };
}

/** Why the rollback did not make the root anew. */
export function explainHook(context: StageOneContext): string {
  const { rollback, luks } = context.scenario.system;
  if (rollback === undefined) {
    return 'The layout declares no rollback (boot.initrd.postResumeCommands), and / is no tmpfs: nothing ever empties it.';
  }
  const { hook, order } = rollback.scripted;
  const locked =
    hook === 'preDeviceCommands' || (hook === 'preLVMCommands' && order !== 'after' && luks.length > 0);
  if (locked) {
    return `boot.initrd.${hook} run before ${hook === 'preDeviceCommands' ? 'there is any device' : 'LUKS devices are unlocked'}. A rollback belongs into boot.initrd.postResumeCommands.`;
  }
  if (hook === 'postMountCommands') {
    return 'boot.initrd.postMountCommands run when the root is mounted already. A rollback belongs into boot.initrd.postResumeCommands.';
  }
  if (hookLines(context).length === 0) {
    return `The log of stage 1 has no line of boot.initrd.${hook}: they did not run, or wrote nothing, and then nobody can tell.`;
  }
  return `boot.initrd.${hook} ran without making the root anew. Scripted stage 1 has no "set -e": it goes on after a command that fails. What they wrote is below.`;
}
