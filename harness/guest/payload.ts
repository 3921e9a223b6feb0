import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, digestOf, runProgram } from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import type { Scenario } from '../scenario/index.js';
import { makeCpio } from './cpio.js';
import { REGISTRATION } from './first-boot.js';
import type { GuestImages } from './images.js';
import { hashStorePath, makeNixState, renderRegistration, type StorePath, writeTree } from './store.js';
import {
  makeRollbackTree,
  makeSecretsTree,
  makeStageOneTree,
  makeSystemTree,
  stageOneImage,
} from './system-tree.js';

/** What a scenario adds to the generic images: some kilobytes. */
export interface Payload {
  /** `/nix/store/<hash>-nixos-system-<host>-<scenario>` */
  readonly system: string;
  /**
   * Archive of `nix/`: the system's own store paths, the database, the profile; of an image the registration instead of
   * the last two.
   */
  readonly storeTar: Buffer;
  /** Second initrd of the boot entry. */
  readonly stageOne: Buffer;
  /** File name of the generic stage 1 below the base's `boot`: the first initrd of the boot entry. */
  readonly stageOneImage: string;
  /** Stage 1 is a shell script, with commands of the configuration in it. */
  readonly stageOneIsScript: boolean;
  /** The boot entry for systemd-boot. */
  readonly bootEntry: string;
  /** File names on the EFI system partition below EFI/nixos, as NixOS chooses them. */
  readonly bootFiles: {
    readonly kernel: string;
    readonly initrd: string;
    readonly stageOne: string;
    /** What stage 1 needs only in some variants. */
    readonly more: readonly BootFile[];
  };
}

/** A file that goes from the system's folder `boot` to the EFI system partition. */
export interface BootFile {
  readonly source: string;
  readonly name: string;
}

/** Kernel parameters of the installed system. `loglevel` is NixOS's default; only systemd reads its mounts by `root`. */
const KERNEL_PARAMETERS = {
  systemd: 'console=ttyS0 root=fstab loglevel=4',
  scripted: 'console=ttyS0 loglevel=4',
} as const;

/** NixOS tells the kernel where to resume from when the configuration says it. */
function resumeParameters(scenario: Scenario): string[] {
  const { resumeDevice } = scenario.system;
  return resumeDevice === undefined ? [] : [`resume=${resumeDevice}`];
}

/** Makes the system of a scenario from the images. Takes well under a second. */
export async function makePayload(
  scenario: Scenario,
  images: GuestImages,
  options: {
    readonly toolbox: Toolbox;
    readonly workDir: string;
    readonly budget: Budget;
    /** Opens the LUKS devices that are unlocked by a key file. */
    readonly luksKey: string;
    /** Added to the kernel's parameters. Default none. */
    readonly parameters?: readonly string[];
  },
): Promise<Payload> {
  const { toolbox, budget } = options;
  await mkdir(options.workDir, { recursive: true });
  const scratch = await mkdtemp(path.join(options.workDir, 'payload-'));
  try {
    const addPath = async (
      name: string,
      tree: ReturnType<typeof makeSystemTree>,
      references: readonly string[],
    ): Promise<StorePath> => {
      const folder = path.join(scratch, name);
      await writeTree(folder, tree);
      const hashed = await hashStorePath(toolbox, folder, references, budget);
      const target = path.join(scratch, 'root', hashed.path);
      await mkdir(path.dirname(target), { recursive: true });
      await runProgram('mv', [folder, target], { budget });
      return hashed;
    };
    await mkdir(path.join(scratch, 'root'));
    const rollback = makeRollbackTree(scenario.system);
    const rollbackPath = rollback === undefined ? undefined : await addPath(rollback.name, rollback.tree, []);
    const system = await addPath(
      `nixos-system-${scenario.system.hostName}-${scenario.name}`.replaceAll(/[^A-Za-z0-9+._?=-]/g, '-'),
      makeSystemTree(scenario.system, images.system.path),
      [images.system.path],
    );
    const root = path.join(scratch, 'root');
    const paths = [images.system, ...(rollbackPath === undefined ? [] : [rollbackPath]), system];
    if (scenario.system.image === undefined)
      await makeNixState(toolbox, { folder: root, paths, system: system.path, budget });
    else await writeFile(path.join(root, REGISTRATION), renderRegistration(paths), { mode: 0o644 });
    const tar = path.join(scratch, 'store.tar');
    await runProgram(
      'tar',
      [
        '-cf',
        tar,
        '-C',
        root,
        '--owner=0',
        '--group=0',
        '--numeric-owner',
        '--sort=name',
        '--mtime=@1',
        'nix',
      ],
      { budget },
    );
    const stageOne = makeCpio(
      new Map([
        ...makeStageOneTree(scenario.system, rollbackPath?.path),
        ...makeSecretsTree(scenario.system, options),
      ]),
    );
    const release = images.kernelRelease;
    const needsTpm = scenario.system.luks.some(({ unlock }) => unlock === 'tpm2');
    const bootFiles = {
      kernel: `${images.key}-linux-${release}-bzImage.efi`,
      initrd: `${images.key}-${scenario.system.stage1}-initrd-linux-${release}-initrd.efi`,
      stageOne: `${digestOf(stageOne)}-initrd-scenario.efi`,
      more: needsTpm
        ? [{ source: 'stage1-tpm2.cpio.zst', name: `${images.key}-initrd-tpm2-initrd.efi` }]
        : [],
    };
    return {
      system: system.path,
      storeTar: await readFile(tar),
      stageOne,
      stageOneImage: stageOneImage(scenario.system),
      stageOneIsScript: scenario.system.stage1 === 'scripted',
      bootFiles,
      bootEntry: [
        'title NixOS-shaped Debian',
        'sort-key nixos',
        `version Generation 1 NixOS-shaped Debian, Linux ${release}`,
        `linux /EFI/nixos/${bootFiles.kernel}`,
        `initrd /EFI/nixos/${bootFiles.initrd}`,
        `initrd /EFI/nixos/${bootFiles.stageOne}`,
        ...bootFiles.more.map(({ name }) => `initrd /EFI/nixos/${name}`),
        `options init=${system.path}/init ${[KERNEL_PARAMETERS[scenario.system.stage1], ...resumeParameters(scenario), ...(options.parameters ?? [])].join(' ')}`,
        '',
      ].join('\n'),
    };
  } finally {
    await runProgram('chmod', ['-R', 'u+w', scratch]);
    await rm(scratch, { recursive: true, force: true });
  }
}
