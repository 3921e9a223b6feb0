import type { Scenario, ScenarioPromise } from '../scenario/index.js';
import { checkGrown, checkNoSurgery, checkRegistered, checkTmpfilesSafe } from './check-image.js';
import { checkKept } from './check-kept.js';
import { checkLinked } from './check-linked.js';
import { checkMade } from './check-made.js';
import { checkRollbackLog, checkRollbackOrder } from './check-rollback.js';
import { checkGone, checkRootWiped } from './check-root.js';
import {
  checkEspPrivate,
  checkFailedUnits,
  checkGeneration,
  checkHostKeys,
  checkMachineId,
  checkMounted,
  checkSwapActive,
  checkSwapKey,
} from './check-system.js';
import { checkScript, checkUnlocked, checkUnmounted } from './check-session.js';
import { checkSecureBoot } from './secure-boot.js';
import type { JournalLine } from './evidence.js';
import { UNIT_STARTING } from './manager-lines.js';
import type { BootContext, Finding } from './finding.js';

/** The unit that mounts the root in stage 1. */
const ROOT_MOUNT = 'sysroot.mount';

/** Everything a scenario promises of a running system, looked at in one boot. */
export function checkBoot(context: BootContext): Finding[] {
  return context.scenario.promises.flatMap((promise): Finding[] => {
    const outcome = checkPromise(promise, context);
    return outcome === undefined ? [] : [{ promise, boot: context.evidence.boot, ...outcome }];
  });
}

function checkPromise(
  promise: ScenarioPromise,
  context: BootContext,
): Omit<Finding, 'promise' | 'boot'> | undefined {
  switch (promise.kind) {
    case 'root-wiped':
      return checkRootWiped(promise, context);
    case 'gone':
      return checkGone(promise, context);
    case 'kept':
      return checkKept(promise, context);
    case 'made':
      return checkMade(promise, context);
    case 'linked':
      return checkLinked(promise, context);
    case 'mounted':
      return checkMounted(promise, context);
    case 'machine-id-stable':
      return checkMachineId(promise, context);
    case 'ssh-host-keys-stable':
      return checkHostKeys(promise, context);
    case 'rollback-log':
      return checkRollbackLog(promise, context);
    case 'rollback-order':
      return checkRollbackOrder(promise, context);
    case 'no-failed-units':
      return checkFailedUnits(promise, context);
    case 'generation':
      return checkGeneration(context);
    case 'esp-private':
      return checkEspPrivate(promise, context);
    case 'swap-active':
      return checkSwapActive(promise, context);
    case 'unlocked':
      return checkUnlocked(promise, context);
    case 'secure-boot':
      return checkSecureBoot(promise, context);
    case 'swap-key-random':
      return checkSwapKey(promise, context);
    case 'unmounted-cleanly':
      return checkUnmounted(promise, context);
    case 'check':
      return checkScript(promise, context);
    case 'image-subvolumes':
      return checkNoSurgery(context);
    case 'grown':
      return checkGrown(context);
    case 'registered':
      return checkRegistered(context);
    case 'tmpfiles-safe':
      return checkTmpfilesSafe(promise, context);
    case 'image-owners':
      // Looked at before the first boot and after the last.
      return undefined;
    case 'login':
    case 'resumed':
      // Tried after the look at a boot.
      return undefined;
    case 'blank':
    case 'disk-untouched':
    case 'disk-clean':
    case 'console-clean':
      // Looked at once, when the machine is off.
      return undefined;
  }
}

/** What the journal of a boot that did not come up tells: whether stage 1 did things in the right order. */
export function checkFailedBoot(
  scenario: Scenario,
  options: { readonly boot: number; readonly journal: readonly JournalLine[] },
): Finding[] {
  const { journal } = options;
  const context = { scenario, evidence: { journal } };
  // Of a boot that did not come to mount its root the order says nothing.
  const mounts = journal.some(({ about, messageId }) => about === ROOT_MOUNT && messageId === UNIT_STARTING);
  if (scenario.system.stage1 === 'systemd' && !mounts) return [];
  return scenario.promises.flatMap((promise) =>
    promise.kind === 'rollback-order'
      ? [{ promise, boot: options.boot, ...checkRollbackOrder(promise, context) }]
      : [],
  );
}
