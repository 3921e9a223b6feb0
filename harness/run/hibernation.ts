import path from 'node:path';

import { HarnessError } from '../core/index.js';
import type { Finding } from '../probe/index.js';
import type { ResumedPromise, Scenario } from '../scenario/index.js';
import type { MachineShell } from '../target/index.js';
import { typeUntilAgent } from './boot-machine.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import type { MachineParts } from './machine-parts.js';
import type { MachinePower } from './power.js';

/** A unit that only a system that goes on still has running. */
const MARK = `systemd-run --quiet --unit=imperm-hibernated sleep infinity
cat /proc/sys/kernel/random/boot_id`;
const LOOK = 'cat /proc/sys/kernel/random/boot_id; systemctl is-active imperm-hibernated.service; true';

/** What the kernel says when it begins to resume, and cannot. */
const IMAGE_FAULT = /PM: .*(?:Invalid|Failed to load|mismatch|Image corrupted)/i;

type Judgement = Omit<Finding, 'promise' | 'boot'>;

export interface Hibernated {
  readonly judgement: Judgement;
  /** The machine's parts as they are afterwards. */
  readonly parts: MachineParts;
  /** Of the system that goes on; absent when it does not. */
  readonly shell?: MachineShell;
}

/**
 * Hibernates the running system, powers the machine on again, and sees whether the same system goes on.
 *
 * Stage 1 sees the disk as the sleeping system left it, which still has every file system mounted. A rollback that runs
 * now destroys them; it is stopped as soon as it shows itself, and what it did goes to copies of the disks that are
 * thrown away.
 */
export async function hibernate(
  power: MachinePower,
  context: VariantContext,
  options: {
    readonly scenario: Scenario;
    readonly boot: number;
    readonly parts: MachineParts;
    readonly shell: MachineShell;
  },
): Promise<Hibernated> {
  const { scenario, boot, parts } = options;
  const { budget, timeScale, phases } = context;
  const bootId = (await options.shell.run(MARK, budget)).trim();
  await power.hibernate(boot);
  const copies = await layCopies(parts, context);
  return phases.run(
    'resume',
    async () => {
      const part = budget.part('the hibernated system to go on', LIMITS_MS.resume * timeScale, {
        lastSeen: power.consoleTail,
      });
      const seen: string[] = [];
      let unreadable: string | undefined;
      const unwatch = power.watch((line) => {
        if (IMAGE_FAULT.test(line)) unreadable ??= line;
        if (!showsRollback(line, scenario)) return;
        seen.push(line);
        power.machine.fail({ kind: 'rolled-back', text: 'Stage 1 rolls back before it resumes' });
      });
      try {
        await power.resume(copies);
        // The machine lives on: what it rolls back in later boots is right.
        const { shell } = await typeUntilAgent(power.machine, { part, passphrase: parts.passphrase }).finally(
          unwatch,
        );
        const [now, state] = (await shell.run(LOOK, part)).trim().split('\n');
        if (now === bootId && state === 'active')
          return {
            judgement: { status: 'pass', found: `the boot ${bootId.slice(0, 8)}… went on` },
            parts: copies,
            shell,
          };
        return { judgement: bootedAnew(bootId, now ?? 'none'), parts };
      } catch (error) {
        if (seen.length === 0 || !(error instanceof HarnessError)) throw error;
        return { judgement: unreadable === undefined ? rolledBack(seen, scenario) : lost(unreadable), parts };
      }
    },
    boot,
  );
}

/** What the promise is judged by, as a finding of the boot in which it was tried. */
export function hibernationFinding(scenario: Scenario, boot: number, judgement: Judgement): Finding[] {
  return scenario.promises
    .filter((promise): promise is ResumedPromise => promise.kind === 'resumed')
    .map((promise) => ({ promise, boot, ...judgement }));
}

/** Copies over the disks: they show their content, and take what is written. */
async function layCopies(parts: MachineParts, context: VariantContext): Promise<MachineParts> {
  const disks = await Promise.all(
    parts.disks.map(async (disk) => {
      const file = path.join(path.dirname(disk.file), `${path.basename(disk.file, '.qcow2')}-resumed.qcow2`);
      await context.host.toolbox.run(
        'qemu-img',
        ['create', '-q', '-f', 'qcow2', '-b', path.basename(disk.file), '-F', disk.format, file],
        context.budget,
      );
      return { ...disk, file, format: 'qcow2' as const, backingFile: disk.file };
    }),
  );
  return { ...parts, disks };
}

/** Whether a line of the console or of the journal is the rollback's: its unit begins, or it says what it does. */
function showsRollback(line: string, scenario: Scenario): boolean {
  const { rollback } = scenario.system;
  if (rollback === undefined) return false;
  const log = scenario.promises.flatMap((promise) => (promise.kind === 'rollback-log' ? promise.lines : []));
  return line.includes(`Starting ${rollback.unit}`) || log.some((text) => line.includes(text));
}

function rolledBack(seen: readonly string[], { system }: Scenario): Judgement {
  const unit = (system.stage1 === 'systemd' ? system.rollback?.unit : undefined) ?? 'the rollback';
  return {
    status: 'fail',
    expected: 'stage 1 resumes before anything touches the disk',
    found: `${unit} ran while a hibernated system was waiting on the disk (power was cut at once)`,
    cause:
      system.stage1 === 'systemd'
        ? `The sleeping system still has the root mounted that ${unit} deletes: after resuming it would write into a file system that is another one by now, and destroy it. Add after = [ "local-fs-pre.target" ], which waits for the resume (impermanence#250).`
        : 'The sleeping system still has the root mounted that the rollback deletes. boot.initrd.postDeviceCommands runs before the resume; boot.initrd.postResumeCommands is the place (impermanence#250).',
    evidence: seen.slice(0, 8),
  };
}

/** Stage 1 did resume before the rollback, but the kernel could not: not the rollback's fault. */
function lost(line: string): Judgement {
  return {
    status: 'fail',
    expected: 'the kernel resumes the sleeping system',
    found: `the kernel could not read the image of it: ${line.trim()}`,
    cause:
      'The order of stage 1 is right. Was the swap written to after the machine went to sleep (a swap with a random key, mkswap, a second system), or is it smaller than the memory?',
  };
}

function bootedAnew(before: string, now: string): Judgement {
  return {
    status: 'fail',
    expected: `the boot ${before} goes on`,
    found: `the machine booted anew (boot id ${now})`,
    cause:
      'Stage 1 found nothing to resume from: is the swap device there early enough, and boot.resumeDevice the one that was written to? What was open and not yet written is lost.',
  };
}
