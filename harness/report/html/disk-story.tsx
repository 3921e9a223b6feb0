import type { VNode } from 'preact';

import type { CheckRecord, VariantRecord } from '../../record/index.js';
import { nameBootHow } from '../words.js';
import type { BootLook, DiskLook, Subvolume, VariantEvidence } from './evidence.js';

interface StoryProps {
  readonly variant: VariantRecord;
  readonly evidence: VariantEvidence;
}

/** The disk as boxes: what lies in what, with the subvolumes and where they are mounted. */
export function DiskPicture({ evidence }: Pick<StoryProps, 'evidence'>): VNode | null {
  const { disk, boots } = evidence;
  const last = [...boots.values()].at(-1);
  if (disk === undefined || disk.blocks.length === 0) return null;
  return (
    <section class="disk">
      <h3>Disk</h3>
      {disk.blocks
        .filter(({ parent }) => parent === '')
        .map((block) => (
          <Block block={block} disk={disk} boot={last} />
        ))}
    </section>
  );
}

interface BlockProps {
  readonly block: DiskLook['blocks'][number];
  readonly disk: DiskLook;
  readonly boot: BootLook | undefined;
}

function Block({ block, disk, boot }: BlockProps): VNode {
  const { kernelName, path, label, type } = block;
  const inside = disk.blocks.filter(({ parent }) => parent === kernelName);
  const names = [path, ...(label === '' ? [] : [`/dev/disk/by-partlabel/${label}`])];
  const volume = disk.volumes.find(({ device }) => names.includes(device));
  const own = volume?.subvolumes.filter(({ path: name }) => !name.includes('/')) ?? [];
  return (
    <div class={`block block-${type}`}>
      <div class="block-title">
        <b>{label === '' ? path : label}</b> {describe(block)}
      </div>
      {inside.map((each) => (
        <Block block={each} disk={disk} boot={boot} />
      ))}
      {own.length === 0 ? null : (
        <ul class="subvolumes">
          {own.map(({ path: name }) => (
            <li>
              {name} <span class="mount">{mountsOf(name, boot)}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function describe({ type, fsType, sizeBytes }: DiskLook['blocks'][number]): string {
  const what = fsType === '' ? type : fsType === 'crypto_LUKS' ? 'LUKS' : fsType;
  return `${what}, ${sizeBytes >= 2 ** 30 ? `${(sizeBytes / 2 ** 30).toFixed(1)} GiB` : `${(sizeBytes / 2 ** 20).toFixed(0)} MiB`}`;
}

function mountsOf(name: string, boot: BootLook | undefined): string {
  return (boot?.mounts ?? [])
    .filter(({ root, fsType }) => fsType === 'btrfs' && root === `/${name}`)
    .map(({ mountPoint }) => mountPoint)
    .join(', ');
}

/** What each boot found of what the one before had left: what vanished, what stayed, what is new. */
export function WipeStory({ variant, evidence }: StoryProps): VNode | null {
  const steps = [...evidence.boots].flatMap(([number, boot]) => {
    const before = number === 1 ? evidence.installed : evidence.planted.get(number - 1)?.subvolumes;
    return before === undefined ? [] : [{ number, boot, before }];
  });
  if (steps.length === 0) return null;
  return (
    <section class="wipes">
      <h3>What each boot did to the disk</h3>
      <div class="wipe-columns">
        {steps.map(({ number, boot, before }) => (
          <div class="wipe">
            <h4>
              boot {number}
              <Wiped variant={variant} boot={number} />
            </h4>
            <p class="how">{howOf(variant, number)}</p>
            <ul class="changes">
              {changesOf(before, boot.subvolumes).map(({ path, change }) => (
                <li class={`change-${change}`}>
                  <span class="sign">{{ gone: '−', new: '+', same: '=' }[change]}</span>{' '}
                  {change === 'gone' ? <s>{path}</s> : path}
                </li>
              ))}
            </ul>
            {boot.journal.length === 0 ? null : (
              <details>
                <summary>Log of stage 1</summary>
                <pre>
                  {boot.journal
                    .map(({ monotonicUs, message }) => `${(monotonicUs / 1e6).toFixed(3)} s  ${message}`)
                    .join('\n')}
                </pre>
              </details>
            )}
          </div>
        ))}
      </div>
    </section>
  );
}

function Wiped({ variant, boot }: { readonly variant: VariantRecord; readonly boot: number }): VNode | null {
  const check = variant.checks.find((each) => each.id === 'root-wiped' && each.boot === boot);
  if (check === undefined) return null;
  return <span class={`mark mark-${check.status}`}>{check.status === 'pass' ? 'wiped' : 'not wiped'}</span>;
}

function howOf({ boots }: VariantRecord, number: number): string {
  const how = boots.find((each) => each.number === number)?.how;
  return how === undefined ? '' : nameBootHow(how);
}

/** What became of every subvolume, told apart by UUID: one of the same name may be another. */
export function changesOf(
  before: readonly Subvolume[],
  after: readonly Subvolume[],
): readonly { readonly path: string; readonly change: 'gone' | 'new' | 'same' }[] {
  const was = new Set(before.map(({ uuid }) => uuid));
  const is = new Set(after.map(({ uuid }) => uuid));
  const all = [
    ...before.filter(({ uuid }) => !is.has(uuid)).map(({ path }) => ({ path, change: 'gone' as const })),
    ...after.map(({ path, uuid }) => ({
      path,
      change: was.has(uuid) ? ('same' as const) : ('new' as const),
    })),
  ];
  return all.sort((one, other) => one.path.localeCompare(other.path));
}

/** Each thing that was planted, and in which later boots it was there. */
export function CanaryTable({ variant, evidence }: StoryProps): VNode | null {
  const numbers = [...evidence.boots.keys()];
  const later = numbers.filter((number) => number > 1);
  // What was planted in the last boot met no other one: the powered-off disk tells of it, among the promises.
  const rows = [...evidence.planted]
    .filter(([number]) => later.some((boot) => boot > number))
    .flatMap(([number, { canaries }]) =>
      foldersOf(Object.keys(canaries)).map((folder) => ({ number, folder })),
    );
  if (rows.length === 0) return null;
  return (
    <section class="canaries">
      <h3>What was planted, and its fate</h3>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>folder</th>
              <th>planted in</th>
              {later.map((number) => (
                <th>boot {number}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ number, folder }) => (
              <tr>
                <td>{folder}</td>
                <td>boot {number}</td>
                {later.map((boot) => (
                  <td>
                    {boot <= number ? '' : <Fate folder={folder} boot={boot} {...{ variant, evidence }} />}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Fate({
  folder,
  boot,
  variant,
  evidence,
}: StoryProps & { readonly folder: string; readonly boot: number }): VNode {
  const isThere = Object.keys(evidence.boots.get(boot)?.canaries ?? {}).some(
    (path) => path === folder || path.startsWith(`${folder}/`),
  );
  const check = checkOf(variant.checks, folder, boot);
  return <span class={`mark mark-${check?.status ?? 'none'}`}>{isThere ? 'there' : 'gone'}</span>;
}

/** The promise that a planted folder is to prove, as it was looked at after a boot. */
function checkOf(checks: readonly CheckRecord[], folder: string, boot: number): CheckRecord | undefined {
  const parent = folder.slice(0, folder.lastIndexOf('/')) || '/';
  const of = (id: string): CheckRecord | undefined =>
    checks.find((each) => each.id === id && each.boot === boot);
  return of(`kept:${parent}`) ?? of(`gone:${parent}`) ?? of('gone:/');
}

/** The topmost of nested paths. */
function foldersOf(paths: readonly string[]): readonly string[] {
  const sorted = [...paths].sort();
  return sorted.filter((path) => !sorted.some((other) => path !== other && path.startsWith(`${other}/`)));
}
