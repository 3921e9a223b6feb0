import { HarnessError } from '../../core/index.js';
import {
  DISK_BUSES,
  LUKS_KINDS,
  STAGE1_KINDS,
  suggest,
  whyNotName,
  whyNotPath,
} from '../../scenario/index.js';

/** How the root is emptied. */
export const ROOTS = ['btrfs-rollback', 'btrfs-snapshot', 'tmpfs'] as const;
/** What opens the disk. */
export const LUKS = LUKS_KINDS;
/** Kinds of stage 1. */
export const STAGES = STAGE1_KINDS;
/** How the disk is attached. */
export const DISKS = DISK_BUSES;

/** Everything that a new scenario is made of. */
export interface Answers {
  readonly root: (typeof ROOTS)[number];
  readonly luks: (typeof LUKS)[number];
  readonly stage1: (typeof STAGES)[number];
  readonly disk: (typeof DISKS)[number];
  /** Directories to keep, besides those that every system needs. */
  readonly keep: readonly string[];
  /** Files to keep, besides the machine id. */
  readonly keepFile: readonly string[];
  /** Names of ordinary users. */
  readonly user: readonly string[];
}

/** Asks one question. @returns What was typed; empty for the default. */
export type Ask = (question: string) => Promise<string>;

const DEFAULTS: Answers = {
  root: 'btrfs-rollback',
  luks: 'passphrase',
  stage1: 'systemd',
  disk: 'virtio',
  keep: [],
  keepFile: [],
  user: [],
};

/** A question at the terminal: what is asked, and what an answer may be. */
interface Question {
  readonly key: keyof Answers;
  readonly text: string;
  /** Each with what it means; absent: a list of texts. */
  readonly choices?: Readonly<Record<string, string>>;
}

const QUESTIONS: readonly Question[] = [
  {
    key: 'root',
    text: 'How is the root emptied at every boot?',
    choices: {
      'btrfs-rollback': 'a btrfs subvolume that stage 1 deletes and makes anew',
      'btrfs-snapshot': 'a btrfs subvolume that stage 1 rolls back to a blank snapshot',
      tmpfs: 'it lies in memory',
    },
  },
  {
    key: 'luks',
    text: 'Is the disk encrypted (LUKS), and what opens it?',
    choices: {
      passphrase: 'a passphrase, typed at every boot',
      'key-file': 'a key file in the initrd',
      tpm2: 'a TPM 2.0 (systemd stage 1 only)',
      none: 'it is not encrypted',
    },
  },
  {
    key: 'stage1',
    text: 'Which kind of stage 1?',
    choices: {
      systemd: 'boot.initrd.systemd, the default since NixOS 26.05',
      scripted: 'the older one, busybox and shell',
    },
  },
  {
    key: 'disk',
    text: 'How is the disk attached?',
    choices: { virtio: '/dev/vda', nvme: '/dev/nvme0n1' },
  },
  {
    key: 'keep',
    text: 'Which directories are kept, besides /home, /var/log, /etc/nixos and /var/lib/nixos?',
  },
  { key: 'keepFile', text: 'Which single files are kept, besides /etc/machine-id?' },
  { key: 'user', text: 'Which users are there, besides root?' },
];

/**
 * Completes the answers that flags gave.
 *
 * @param given What was said on the command line.
 * @param ask Asks for the rest; absent: defaults are taken.
 * @returns Valid answers, and which questions nobody has answered.
 * @throws {HarnessError} USAGE when one is wrong, or when two cannot be together.
 */
export async function completeAnswers(
  given: Partial<Answers>,
  ask: Ask | undefined,
): Promise<{ readonly answers: Answers; readonly assumed: readonly string[] }> {
  const answers = { ...DEFAULTS, ...given };
  const assumed: string[] = [];
  for (const question of QUESTIONS) {
    if (given[question.key] !== undefined) continue;
    if (ask === undefined) {
      if (question.choices !== undefined) assumed.push(`--${question.key} ${String(DEFAULTS[question.key])}`);
      continue;
    }
    Object.assign(answers, { [question.key]: await askOne(question, ask) });
  }
  const why = (Object.keys(answers) as (keyof Answers)[]).flatMap((key) => whyWrong(key, answers[key]) ?? []);
  if (why[0] !== undefined) throw new HarnessError('USAGE', why[0]);
  if (answers.luks === 'tpm2' && answers.stage1 === 'scripted')
    throw new HarnessError('USAGE', '--luks tpm2 and --stage1 scripted cannot be together', {
      hint: "NixOS's scripted stage 1 knows nothing of TPMs. Take --stage1 systemd.",
    });
  return {
    answers: {
      ...answers,
      keep: distinct(answers.keep),
      keepFile: distinct(answers.keepFile),
      user: distinct(answers.user),
    },
    assumed,
  };
}

async function askOne(question: Question, ask: Ask): Promise<string | readonly string[]> {
  const { key, text, choices } = question;
  const names = Object.keys(choices ?? {});
  const lines = Object.entries(choices ?? {}).map(
    ([name, meaning], index) => `  ${String(index + 1)}) ${name.padEnd(16)}${meaning}\n`,
  );
  const prompt = `${text}\n${lines.join('')}${choices === undefined ? '  (parted by spaces; nothing: none)' : `  [${String(DEFAULTS[key])}]`} `;
  for (let wrong = ''; ;) {
    const typed = await ask(`${wrong}${prompt}`);
    if (choices === undefined) {
      const list = typed.split(/[\s,]+/).filter(Boolean);
      wrong = problemLine(whyWrong(key, list));
      if (wrong === '') return list;
      continue;
    }
    const answer = typed === '' ? String(DEFAULTS[key]) : (names[Number(typed) - 1] ?? typed);
    if (names.includes(answer)) return answer;
    wrong = problemLine(`"${answer}" is none of ${names.join(', ')}.${suggest(answer, names)}`);
  }
}

function problemLine(problem: string | undefined): string {
  return problem === undefined ? '' : `${problem}\n`;
}

/** Why an answer cannot be part of a scenario: what its schema says. */
function whyWrong(key: keyof Answers, value: Answers[keyof Answers]): string | undefined {
  if (typeof value === 'string') return undefined;
  const check = key === 'user' ? whyNotName : whyNotPath;
  for (const each of value) {
    const why = check(each);
    const flag = key === 'keepFile' ? 'keep-file' : key;
    if (why !== undefined) return `--${flag} "${each}" ${why}`;
    if (key === 'user' && each === 'root') return '--user root: root is there anyway';
  }
  return undefined;
}

function distinct(list: readonly string[]): readonly string[] {
  return [...new Set(list)];
}
