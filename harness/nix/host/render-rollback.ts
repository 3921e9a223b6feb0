import { findRoot } from '../../scenario/index.js';
import type { HostDescription } from './description.js';

const UNIT =
  /^[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;
/** What starts a hook of scripted stage 1 is stage 1 itself; a scenario wants a unit all the same. */
const STARTER = 'initrd.target';

/** Says what makes the root anew in the words of a scenario. The likeliest of several is taken. */
export function renderRollback(host: HostDescription): {
  /** Absent: nothing was found. */
  readonly rollback?: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
} {
  const [first, ...others] = host.rollbacks;
  if (first === undefined) return { warnings: [] };
  const nameOf = (each: HostDescription['rollbacks'][number]): string =>
    each.kind === 'hook' ? `boot.initrd.${each.hook}` : `boot.initrd.systemd.services.${each.name}`;
  const warnings = others.map(
    (each) => `${nameOf(each)} runs, too, but ${nameOf(first)} is taken for what makes the root anew.`,
  );
  const blank = findBlankSnapshot(first.script, host);
  const restored = blank === undefined ? {} : { blankSnapshot: blank };
  if (first.kind === 'hook') {
    const { hook, order, script } = first;
    const rollback = {
      ...restored,
      wantedBy: [STARTER],
      script: { text: script },
      scripted: { hook, order },
    };
    return { rollback, warnings };
  }
  const { name, description, script, hasText, remainAfterExit } = first;
  const units = (names: readonly string[]): readonly string[] => names.filter((unit) => UNIT.test(unit));
  if (!hasText)
    warnings.push(`${nameOf(first)} runs ${script.trim()}, whose text is not known before it is built.`);
  return {
    rollback: {
      name,
      description: description.replaceAll(/\s+/g, ' ').trim(),
      after: units(first.after),
      before: units(first.before),
      requires: units(first.requires),
      wantedBy: units(first.wantedBy),
      requiredBy: units(first.requiredBy),
      ...(remainAfterExit ? { remainAfterExit } : {}),
      ...restored,
      script: { text: hasText ? script : `exec ${script}` },
    },
    warnings,
  };
}

/** Whoever restores a snapshot says from where: `btrfs subvolume snapshot /mnt/root-blank /mnt/root`. */
function findBlankSnapshot(script: string, { fileSystems }: HostDescription): string | undefined {
  const root = findRoot(fileSystems);
  const subvolume = root?.options
    .find((option) => option.startsWith('subvol='))
    ?.slice('subvol='.length)
    .replace(/^\/+/, '');
  if (subvolume === undefined || subvolume === '') return undefined;
  for (const [, from = '', to = ''] of script.matchAll(
    /\bsub(?:volume)?\s+snap(?:shot)?\s+(?:-\S+\s+)*(\S+)\s+(\S+)/g,
  )) {
    const [source, target] = [from, to].map((word) => word.replaceAll(/["']/g, '').replace(/\/$/, ''));
    if (source === undefined || target === undefined || !target.endsWith(`/${subvolume}`)) continue;
    const top = target.slice(0, -subvolume.length);
    if (source.startsWith(top) && source.length > top.length && !source.slice(top.length).includes('$'))
      return source.slice(top.length);
  }
  return undefined;
}
