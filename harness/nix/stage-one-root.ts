import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { repositoryRoot } from '../core/index.js';
import type { Tree } from '../guest/index.js';
import type { TestTools } from './test-tools.js';

const UNITS = 'etc/systemd/system';
const VENDOR_UNITS = 'usr/lib/systemd/system';
/** What the debian guest has in stage 1 in the place of NixOS's own units. */
const OVERLAY = path.join(repositoryRoot, 'harness/guest/debian/overlay/stage1');

/**
 * Puts into an empty folder what every stage 1 has: the units of systemd's package, of which a real one has a part, and the
 * guest's own.
 */
export async function makeStageOneRoot(root: string, tools: TestTools): Promise<void> {
  for (const folder of [tools.tree.dir, OVERLAY])
    await cp(path.join(folder, VENDOR_UNITS), path.join(root, VENDOR_UNITS), {
      recursive: true,
      verbatimSymlinks: true,
    });
}

/**
 * Lays out the units of stage 1 as they are when systemd starts: what it always has, what a scenario adds, and what its own
 * generators make of fstab and crypttab. So what a unit names is there, or it is missing.
 *
 * @param root As `makeStageOneRoot` has made it; what was laid out in it before is removed.
 * @param tree What a scenario adds to stage 1, with absolute paths, none of them below /usr.
 * @returns What the generators had to say; nothing when they are content.
 */
export async function layOutStageOne(root: string, tree: Tree, tools: TestTools): Promise<string> {
  for (const name of await readdir(root))
    if (name !== 'usr') await rm(path.join(root, name), { recursive: true });
  for (const [name, entry] of tree) {
    const file = path.join(root, name);
    await mkdir(path.dirname(file), { recursive: true });
    if (entry.kind === 'link') await symlink(entry.target, file);
    else await writeFile(file, entry.content, { mode: entry.executable === true ? 0o755 : 0o644 });
  }
  const folder = path.join(root, UNITS);
  await mkdir(folder, { recursive: true });
  const said: string[] = [];
  for (const generator of ['systemd-fstab-generator', 'systemd-cryptsetup-generator']) {
    const { stdout, stderr } = await tools.run(
      `usr/lib/systemd/system-generators/${generator}`,
      [folder, folder, folder],
      {
        env: {
          ...TO_STANDARD_ERROR,
          SYSTEMD_IN_INITRD: '1',
          // As the boot entry has it.
          SYSTEMD_PROC_CMDLINE: 'root=fstab',
          SYSTEMD_FSTAB: '/dev/null',
          SYSTEMD_SYSROOT_FSTAB: path.join(root, 'etc/initrd-fstab'),
          SYSTEMD_CRYPTTAB: path.join(root, 'etc/crypttab'),
        },
      },
    );
    said.push(stdout, stderr);
  }
  return said.join('');
}

/** Not to the log of the host. */
const TO_STANDARD_ERROR = { SYSTEMD_LOG_TARGET: 'console', SYSTEMD_LOG_LEVEL: 'notice', SYSTEMD_COLORS: '0' };

/**
 * Reads units as systemd does, and plans the start of each with all that it needs: words that it does not know, units
 * that have to be there and are not, and circles in their order are told.
 *
 * @param root As `layOutStageOne` has made it. Nothing of the host is looked at.
 * @returns The complaints; nothing when there are none.
 */
export async function verifyUnits(root: string, units: readonly string[], tools: TestTools): Promise<string> {
  const words = ['verify', `--root=${root}`, '--man=no', '--generators=no', '--recursive-errors=yes'];
  const { stdout, stderr, exitCode } = await tools.run('systemd-analyze', [...words, ...units], {
    env: TO_STANDARD_ERROR,
    okExitCodes: [0, 1],
  });
  return `${stdout}${stderr}${exitCode === 0 ? '' : `exit code ${String(exitCode)}`}`;
}

/**
 * What a unit is ordered by or asks for, and is not there. systemd itself says nothing of an order after a unit that does
 * not exist. Devices come and go, so they are left out.
 *
 * @param root As `layOutStageOne` has made it.
 * @param unit Name of the unit.
 */
export async function findMissingReferences(root: string, unit: string): Promise<string[]> {
  const existing = new Set(
    (await Promise.all([VENDOR_UNITS, UNITS].map((folder) => readdir(path.join(root, folder))))).flat(),
  );
  const text = await readFile(path.join(root, UNITS, unit), 'utf8');
  return [...text.matchAll(REFERENCE)]
    .flatMap(([, names = '']) => names.split(/\s+/))
    .filter((name) => name !== '' && !name.endsWith('.device'))
    .filter((name) => !existing.has(name) && !existing.has(name.replace(/@.*\./, '@.')));
}

const REFERENCE = /^(?:After|Before|Requires|Requisite|Wants|BindsTo|Conflicts|WantedBy|RequiredBy)=(.*)$/gm;
