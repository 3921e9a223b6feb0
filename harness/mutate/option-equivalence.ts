import type { ShellCommand, ShellScript } from './shell.js';

/** Where a script of stage 1 runs. */
export interface ScriptSurroundings {
  /** What is mounted on /. */
  readonly root?: { readonly device: string; readonly fsType: string };
  /** Its commands are those of busybox (scripted stage 1). */
  readonly isBusybox: boolean;
}

/** What stage 1 has of its own, in NixOS and in the guest made of Debian packages. */
const OWN_FOLDERS = /^\/(?:bin|dev|etc|lib|lib32|lib64|nix|proc|root|run|sbin|sys|sysroot|tmp|usr|var)$/;

/**
 * Says why a command of stage 1 does the same without an option. Sound, and therefore rarely an answer.
 *
 * @param script That the command is in.
 * @param option As written, with its value as another word: `-t btrfs`.
 * @returns The reason as a part of a sentence; undefined when nobody can say so without running it.
 */
export function whySameWithout(
  command: ShellCommand,
  option: string,
  { script, root, isBusybox }: ScriptSurroundings & { readonly script: ShellScript },
): string | undefined {
  const [name, ...rest] = command.words.map(({ text }) => text);
  if (name === 'mkdir' && option === '-p') return whyMakesOnce(command, script);
  // The mount of busybox tries only what the kernel has loaded already.
  if (name === 'mount' && root !== undefined && option === `-t ${root.fsType}` && !isBusybox)
    return rest.at(-2) === root.device
      ? `mount finds out by itself that ${root.device} holds a ${root.fsType}`
      : undefined;
  const [group, , , property] = rest.filter((word) => word !== '-ts');
  if (name === 'btrfs' && group === 'property' && option === '-ts')
    return property === 'ro'
      ? '"ro" is a property of subvolumes alone, and btrfs finds out by itself that it is one'
      : undefined;
  return undefined;
}

/**
 * Stage 1 lies in memory and is new at every boot: what it does not bring is not there before it is made. A function or a loop
 * may come by more than once, and another command may have made it.
 */
function whyMakesOnce({ words }: ShellCommand, { text, bodies, commands }: ShellScript): string | undefined {
  const [name, ...rest] = words;
  const [folder, ...more] = rest.map((word) => word.text).filter((word) => !word.startsWith('-'));
  if (folder === undefined || more.length > 0 || !/^\/[\w-]+$/.test(folder) || OWN_FOLDERS.test(folder))
    return undefined;
  const isAlone = bodies[0]?.some(({ only }) => only?.words[0].start === name.start) === true;
  const makers = commands.filter((each) => {
    const [maker, ...made] = each.words;
    return maker.text === 'mkdir' && made.some((word) => word.text === folder);
  });
  return isAlone && makers.length === 1 && !text.slice(0, name.start).includes(folder)
    ? `stage 1 has no ${folder} before it is made here`
    : undefined;
}
