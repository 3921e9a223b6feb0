import type { ScenarioPromise } from '../scenario/index.js';
import type { BootContext, Finding } from './finding.js';

type Outcome = Omit<Finding, 'promise' | 'boot'>;
type Of<K extends ScenarioPromise['kind']> = Extract<ScenarioPromise, { kind: K }>;

/** Lines of a script's output that are shown. */
const SHOWN_LINES = 12;

/** Stage 1 asked for the passphrase where it has to be typed, and nowhere else. */
export function checkUnlocked(promise: Of<'unlocked'>, context: BootContext): Outcome {
  const { prompts } = context.session;
  const asked =
    prompts === 0 ? 'nothing was asked for' : `the passphrase was asked for ${String(prompts)} times`;
  // A TPM is enrolled in the first boot, by the system that it is to unlock.
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
      };
}

/** A person can log in with what they chose at the install, and nobody else can. */
export function checkLogin(promise: Of<'login'>, context: BootContext): Outcome | undefined {
  const login = context.session.logins.get(promise.user);
  const expected = `${promise.user} logs in at the console with the password, and is refused with another`;
  if (login === undefined) return undefined;
  const file = context.scenario.system.users.find(({ name }) => name === promise.user)?.hashedPasswordFile;
  if (!login.refusesWrong) {
    return {
      status: 'fail',
      expected,
      found: 'a wrong password was accepted',
      cause: `The account has no password, or another than ${file ?? 'its file'} says.`,
      evidence: login.transcript,
    };
  }
  if (!login.acceptsRight) {
    return {
      status: 'fail',
      expected,
      found: 'the password was refused',
      cause: `The account is locked or has another password: ${file ?? 'its file'} was not there when users were made, right after stage 1. It has to lie on a file system with neededForBoot = true.`,
      evidence: login.transcript,
    };
  }
  return { status: 'pass', found: 'logged in with the password, refused with another' };
}

/** What the scenario's own script found. */
export function checkScript(promise: Of<'check'>, context: BootContext): Outcome | undefined {
  if (context.evidence.boot < promise.fromBoot) return undefined;
  const result = context.session.scripts.get(promise.id);
  const lines = (result?.output ?? '').split('\n').filter((line) => line.trim() !== '');
  if (result?.exitCode === 0) return { status: 'pass', found: lines.at(-1) ?? 'exit code 0' };
  return {
    status: 'fail',
    expected: `${promise.script.file} ends with exit code 0`,
    found:
      result === undefined
        ? 'it was not run'
        : `exit code ${String(result.exitCode)}: ${lines.at(-1) ?? 'no word'}`,
    evidence: lines.slice(-SHOWN_LINES),
  };
}
