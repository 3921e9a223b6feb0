import { HarnessError } from '../core/index.js';
import { nameOfScript, type Scenario, type ScenarioPromise } from '../scenario/index.js';
import { type BootContext, count, type Finding, type LoginEvidence } from './finding.js';

type Outcome = Omit<Finding, 'promise' | 'boot'>;
type Of<K extends ScenarioPromise['kind']> = Extract<ScenarioPromise, { kind: K }>;

/** Lines of a script's output that are shown. */
const SHOWN_LINES = 12;

/** Stage 1 asked for the passphrase where it has to be typed, and nowhere else. */
export function checkUnlocked(promise: Of<'unlocked'>, context: BootContext): Outcome {
  const { prompts } = context.session;
  const asked =
    prompts === 0 ? 'nothing was asked for' : `the passphrase was asked for ${count(prompts, 'time')}`;
  // A TPM is enrolled in the first boot, by the system that it is to unlock.
  const units = new Set(context.scenario.system.luks.map(({ unit }) => unit));
  const said = context.evidence.journal.filter(({ writer }) => writer !== undefined && units.has(writer));
  const asks = promise.by === 'passphrase' || (promise.by === 'tpm2' && context.evidence.boot === 1);
  if (asks === prompts > 0) return { status: 'pass', found: asked };
  return asks
    ? {
        status: 'fail',
        expected: 'stage 1 asks for the passphrase',
        found: asked,
        cause: 'Something else than the passphrase opens the device: whoever has the machine has its files.',
      }
    : {
        status: 'fail',
        expected: 'stage 1 unlocks without asking',
        found: asked,
        cause:
          promise.by === 'tpm2'
            ? 'The TPM did not give the key: it is not enrolled (systemd-cryptenroll --tpm2-device=auto), crypttab does not say tpm2-device=auto, or what was measured at boot is not what it was.'
            : 'The key file is not in stage 1, or opens none of the key slots.',
        evidence: said.slice(-SHOWN_LINES).map(({ message }) => message),
      };
}

/** A person can log in with what they chose at the install, and nobody else can. */
export function checkLogins(
  scenario: Scenario,
  boot: number,
  logins: ReadonlyMap<string, LoginEvidence>,
): Finding[] {
  return scenario.promises.flatMap((promise) => {
    const login = promise.kind === 'login' ? logins.get(promise.user) : undefined;
    if (promise.kind !== 'login' || login === undefined) return [];
    const file =
      scenario.system.users.find(({ name }) => name === promise.user)?.hashedPasswordFile ?? 'its file';
    return [{ promise, boot, ...judgeLogin(promise.user, login, file) }];
  });
}

function judgeLogin(user: string, login: LoginEvidence, file: string): Outcome {
  if (login.acceptsRight && !login.acceptsWrong) return { status: 'pass', found: 'logged in at a terminal' };
  return {
    status: 'fail',
    expected: `${user} logs in at a terminal with the password, and is refused with another`,
    evidence: login.transcript,
    ...(login.acceptsWrong
      ? {
          found: 'a wrong password was accepted',
          cause: `The account has no password, or another than ${file} says.`,
        }
      : {
          found: 'the password was refused',
          cause: `The account is locked or has another password: ${file} was not there when users were made, right after stage 1. It has to lie on a file system with neededForBoot = true.`,
        }),
  };
}

/** What the kernel says when it mounts a file system that was not unmounted, or a check that comes before it. */
const RECOVERY =
  /recovery complete|recovering journal|start tree-log replay|not properly unmounted|Dirty bit is set/;

const MOUNTED = /^(?:EXT4-fs|BTRFS).*\bmount/;

/**
 * After an orderly shutdown every file system was unmounted, whatever the console said: nobody finds anything to
 * mend. After a power cut it does, and nothing is promised.
 */
export function checkUnmounted(
  _promise: Of<'unmounted-cleanly'>,
  { evidence, how }: BootContext,
): Outcome | undefined {
  if (how !== 'reboot') return undefined;
  const lines = evidence.mountMessages.filter((line) => RECOVERY.test(line));
  if (lines.length === 0) {
    // The root of every layout, or what it keeps, is on a file system of which the kernel says that it is mounted.
    if (!evidence.mountMessages.some((line) => MOUNTED.test(line))) {
      throw new HarnessError(
        'EVIDENCE_MISSING',
        `The journal of boot ${String(evidence.boot)} has no word of the kernel about a mount, so that nobody knows what it had to mend`,
      );
    }
    return {
      status: 'pass',
      found: `nothing had to be mended (${count(evidence.mountMessages.length, 'line')} about mounts)`,
    };
  }
  return {
    status: 'fail',
    expected: 'no file system has to be recovered after an orderly reboot',
    found: lines[0] ?? '',
    cause: 'It was still mounted when the machine went down: what was written last may be lost.',
    evidence: lines,
  };
}

/** What the scenario's own script found. */
export function checkScript(promise: Of<'check'>, context: BootContext): Outcome | undefined {
  if (context.evidence.boot < promise.fromBoot) return undefined;
  const result = context.session.scripts.get(promise.id);
  const lines = (result?.output ?? '').split('\n').filter((line) => line.trim() !== '');
  if (result?.exitCode === 0) return { status: 'pass', found: lines.at(-1) ?? 'exit code 0' };
  return {
    status: 'fail',
    expected: `${nameOfScript(promise.script)} ends with exit code 0`,
    found:
      result === undefined
        ? 'it was not run'
        : `exit code ${String(result.exitCode)}: ${lines.at(-1) ?? 'no word'}`,
    evidence: lines.slice(-SHOWN_LINES),
  };
}
