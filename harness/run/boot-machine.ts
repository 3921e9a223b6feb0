import { setTimeout as delay } from 'node:timers/promises';

import { HarnessError } from '../core/index.js';
import type { StageOneKind } from '../scenario/index.js';
import type { ConsoleMatch, Machine, MachineShell } from '../target/index.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import { AT_ONCE, type Typing } from './fault-state.js';

/** Firmware hands over to the boot loader. */
const FIRMWARE_DONE = /BdsDxe: starting|EFI stub/;
/** systemd-boot gives keys to a firmware that has none; the machine is reset then. */
const ENROLS_KEYS = /Enrolling secure boot keys/;
/** Stage 1 asks for a passphrase: systemd says please, cryptsetup and scripted stage 1 do not. */
const PASSPHRASE_PROMPT = /(?:please enter )?passphrase for[^\n]*?: /i;
/** What follows systemd's question, unless the device has `password-echo=no`. */
const OFFERS_SILENCE = /\(press TAB for no echo\)/;
/** What it says to a TAB. */
const IS_SILENT = /\(no echo\)/;
/** Either of them comes in a moment, on the slowest machine, too, or never. */
const MOMENT_MS = 15_000;
/** What the console shows of each kind of stage 1. */
const STAGE1 = {
  systemd: {
    begins: /\[ {2}OK {2}\]|Starting [^\n]*\.\.\.|Welcome to/,
    ends: /Starting initrd-switch-root\.service|Reached target [^\n]*Switch Root/,
  },
  scripted: {
    begins: /<<< NixOS Stage 1 >>>/,
    ends: /<<< NixOS Stage 2 >>>/,
  },
} as const;
/** Scripted stage 1 tries a passphrase that opened a device on the next one; it asks for another when that fails. */
const REFUSED = /Verifying passphrase for [^\n]*\n? - failure/;
/** systemd asks three times before it gives up; more often, nobody listens. */
const MOST_PROMPTS = 6;

export interface BootOptions {
  readonly boot: number;
  /** Where on the console this boot begins. */
  readonly from: number;
  readonly passphrase: string;
  /** How it is typed. */
  readonly typing: Typing;
  /** Whether the layout asks for a passphrase at all. */
  readonly asks: boolean;
  readonly stage1: StageOneKind;
  /** The firmware is given the keys of Secure Boot in this boot. */
  readonly enrolsKeys: boolean;
}

/**
 * Follows one boot from the firmware to a system whose jobs are all done, typing the passphrase when the console asks
 * for it.
 *
 * @returns Root's shell, and how often the passphrase was asked for.
 * @throws {HarnessError} CONSOLE_FAILURE as soon as the console shows that the machine will not come up; TIMEOUT with
 * the phase and the console's tail; WRONG_MACHINE; HOST_UNFIT when the firmware does not know Secure Boot.
 */
export async function followBoot(
  machine: Machine,
  context: VariantContext,
  options: BootOptions,
): Promise<{ readonly shell: MachineShell; readonly prompts: number }> {
  const { phases, budget, timeScale, hardware } = context;
  const { boot, typing } = options;
  const seen = STAGE1[options.stage1];
  const lastSeen = (): string => machine.console.tail();
  const limit = (label: string, ms: number): VariantContext['budget'] =>
    budget.part(`${label} (boot ${String(boot)})`, ms * timeScale, { lastSeen });
  let position = options.from;
  let prompts = 0;
  const settle = (shell: MachineShell): Promise<void> =>
    phases.run(
      'settle',
      async () => {
        const part = limit('the booted system to finish its jobs', LIMITS_MS.stage2);
        // Ends as soon as systemd has nothing left to start; whether units failed is for the checks to say.
        await machine.until(shell.execute('systemctl is-system-running --wait', part), part);
      },
      boot,
    );
  if (hardware !== undefined) {
    const up = await phases.run(
      'real-boot',
      () =>
        typeUntilAgent(machine, {
          ...options,
          part: limit('the booted system to answer', LIMITS_MS.realBoot),
        }),
      boot,
    );
    await settle(up.shell);
    return up;
  }

  await phases.run(
    'firmware',
    async () => {
      const part = limit('the firmware to find a boot loader', LIMITS_MS.firmware);
      position = (await machine.until(machine.console.waitFor(FIRMWARE_DONE, part, position), part)).end;
    },
    boot,
  );
  if (options.enrolsKeys) {
    await phases.run(
      'enrol-keys',
      async () => {
        const part = limit('the firmware to take keys and to start again', LIMITS_MS.firmware);
        const next = new RegExp(`(?<enrols>${ENROLS_KEYS.source})|${seen.begins.source}`);
        const { match, end } = await machine.until(machine.console.waitFor(next, part, position), part);
        if (match.groups?.['enrols'] === undefined) {
          throw new HarnessError('HOST_UNFIT', 'The firmware takes no keys: it does not know Secure Boot', {
            details: lastSeen(),
            hint: 'Run without `--tools host`: imperm then brings a firmware (OVMF) that is built with Secure Boot.',
          });
        }
        position = (await machine.until(machine.console.waitFor(FIRMWARE_DONE, part, end), part)).end;
      },
      boot,
    );
  }
  await phases.run(
    'kernel',
    async () => {
      const part = limit('the boot loader and the kernel to start stage 1', LIMITS_MS.kernel);
      await machine.until(machine.console.waitFor(seen.begins, part, position), part);
    },
    boot,
  );
  await phases.run(
    'stage-1',
    async () => {
      const part = budget.part(
        `stage 1 to find, unlock and mount the root (boot ${String(boot)})`,
        LIMITS_MS.stage1 * timeScale + typing.afterMs,
        { lastSeen },
      );
      const next = new RegExp(
        `(?<prompt>${PASSPHRASE_PROMPT.source})|(?<refused>${REFUSED.source})|${seen.ends.source}`,
        'i',
      );
      let tried = false;
      for (;;) {
        const { match, end } = await machine.until(machine.console.waitFor(next, part, position), part);
        position = end;
        if (match.groups?.['refused'] !== undefined) {
          tried = false;
          continue;
        }
        if (match.groups?.['prompt'] === undefined) return;
        // All devices have the same passphrase. What is typed when nobody asks would be taken for a login.
        if (tried && options.stage1 === 'scripted') continue;
        if (!options.asks || prompts >= MOST_PROMPTS) {
          throw new HarnessError(
            'CONSOLE_FAILURE',
            `Stage 1 asks for a passphrase ${options.asks ? 'again and again' : 'although the layout declares no LUKS device'}: ${match[0]}`,
            { details: lastSeen() },
          );
        }
        prompts += 1;
        tried = true;
        const { passphrase } = options;
        await typePassphrase(machine, { passphrase, typing, prompts, asked: { match, end }, part });
      }
    },
    boot,
  );
  const shell = await phases.run(
    'stage-2',
    async () => {
      const part = limit('the booted system to answer', LIMITS_MS.stage2);
      await machine.waitForAgent(part);
      return machine.openShell(part);
    },
    boot,
  );
  await settle(shell);
  return { shell, prompts };
}

/** Answers one prompt. @param options.prompts How many there have been, this one included. */
async function typePassphrase(
  machine: Machine,
  options: {
    readonly passphrase: string;
    readonly typing: Typing;
    readonly prompts: number;
    /** The question. */
    readonly asked: ConsoleMatch;
    readonly part: VariantContext['budget'];
  },
): Promise<void> {
  const { passphrase, typing, prompts, asked, part } = options;
  // Whoever is interrupted meanwhile does not wait for a timer that nobody waits for any more.
  if (prompts === 1 && typing.afterMs > 0)
    await machine.until(delay(typing.afterMs, undefined, { ref: false }), part);
  if (/^please/i.test(asked.match[0])) await hideTyping(machine, asked.end, part);
  machine.console.type(prompts <= typing.wrong ? 'not the passphrase\n' : `${passphrase}\n`);
}

/**
 * Makes sure that what is typed will not be shown. A terminal shows everything until whoever asks has told it not to, which
 * systemd does after its question: somebody quick, or a slow machine, has the passphrase on the console, and in its log. To a
 * TAB it answers once it listens; of a terminal that still shows what is typed, a TAB tells nothing.
 *
 * @param from Where the question ends.
 */
async function hideTyping(machine: Machine, from: number, part: VariantContext['budget']): Promise<void> {
  const comes = async (pattern: RegExp, behind: number): Promise<number | undefined> => {
    const budget = part.part('systemd to listen', MOMENT_MS);
    try {
      return (await machine.until(machine.console.waitFor(pattern, budget, behind), part)).end;
    } catch (error) {
      // It does not offer silence, or nobody listens any more: a person would type all the same.
      if (error instanceof HarnessError && error.code === 'TIMEOUT' && part.remainingMs > 0) return undefined;
      throw error;
    }
  };
  const offered = await comes(OFFERS_SILENCE, from);
  if (offered === undefined) return;
  machine.console.type('\t');
  await comes(IS_SILENT, offered);
}

/**
 * Types the passphrase as often as it is asked for, until the system's agent is heard.
 *
 * @param options.from Where on the console the boot begins. Default: at its beginning.
 * @param options.stage1 Scripted stage 1 tries a passphrase on the next device by itself. Default `systemd`.
 * @returns Root's shell, and how often the passphrase was asked for.
 */
export async function typeUntilAgent(
  machine: Machine,
  options: {
    readonly part: VariantContext['budget'];
    readonly passphrase: string;
    /** Default: at once, and rightly. */
    readonly typing?: Typing;
    readonly from?: number;
    readonly stage1?: StageOneKind;
  },
): Promise<{ readonly shell: MachineShell; readonly prompts: number }> {
  const { part, passphrase, typing = AT_ONCE, from = 0, stage1 = 'systemd' } = options;
  const greeting = machine.waitForAgent(part).then(() => undefined);
  const next = new RegExp(`(?<refused>${REFUSED.source})|${PASSPHRASE_PROMPT.source}`, 'i');
  let position = from;
  let prompts = 0;
  let isTried = false;
  for (;;) {
    const said = machine.until(machine.console.waitFor(next, part, position), part);
    said.catch(() => undefined);
    const asked = await Promise.race([greeting, said]);
    if (asked === undefined) return { shell: await machine.openShell(part), prompts };
    position = asked.end;
    const isRefused = asked.match.groups?.['refused'] !== undefined;
    if (isRefused) isTried = false;
    if (isRefused || (isTried && stage1 === 'scripted')) continue;
    prompts += 1;
    isTried = true;
    await typePassphrase(machine, { passphrase, typing, prompts, asked, part });
  }
}
