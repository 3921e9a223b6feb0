import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, runProgram } from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import { ENTRY_FILE, LOADER_CONF } from './install-script.js';
import type { GuestImages } from './images.js';
import { makeSparse, putPartition } from './raw-disk.js';

const MIB = 1024 * 1024;
/** Before the partition, and behind it for the second table. */
const MARGIN_MIB = 1;
/** What FAT itself takes, which is no FAT32 below 33 MiB, and the boot loader. */
const SPARE_MIB = 40;
/** There is a private key in it. */
const PRIVATE = 0o600;
const BOOT_LOADER = 'usr/lib/systemd/boot/efi/systemd-bootx64.efi';

export interface InstallerImageOptions {
  readonly images: GuestImages;
  /** Of the kernel's command line. */
  readonly parameters: readonly string[];
  /** The image; overwritten. Only its owner can read it: it holds a private key. */
  readonly file: string;
  readonly toolbox: Toolbox;
  readonly workDir: string;
  readonly budget: Budget;
}

/** The installer's whole command line; for whoever boots kernel and initrd from a network. */
export function renderInstallerCommandLine(parameters: readonly string[]): string {
  return ['console=ttyS0,115200n8 console=tty0 rdinit=/usr/lib/systemd/systemd', ...parameters].join(' ');
}

/** Writes the installer as an image for a USB stick: a partition table and an EFI system partition. */
export async function makeInstallerImage(options: InstallerImageOptions): Promise<void> {
  const { images, toolbox, budget, file } = options;
  await mkdir(options.workDir, { recursive: true });
  const scratch = await mkdtemp(path.join(options.workDir, 'installer-image-'));
  try {
    const esp = path.join(scratch, 'esp.img');
    const { kernel, initrd } = images.installer;
    const bytes = (await Promise.all([kernel, initrd].map((each) => stat(each)))).reduce(
      (sum, { size }) => sum + size,
      0,
    );
    const sizeMiB = Math.ceil((bytes / MIB) * 1.01) + SPARE_MIB;
    await makeSparse(esp, sizeMiB, PRIVATE);
    await toolbox.run('mkfs.vfat', ['-F', '32', '-n', 'IMPERM', esp], budget);
    const texts = {
      'loader/loader.conf': LOADER_CONF,
      [`loader/entries/${ENTRY_FILE}`]: [
        'title imperm installer',
        'linux /vmlinuz',
        'initrd /installer',
        `options ${renderInstallerCommandLine(options.parameters)}`,
        '',
      ].join('\n'),
    };
    for (const [name, text] of Object.entries(texts)) {
      await mkdir(path.join(scratch, 'files', path.dirname(name)), { recursive: true });
      await writeFile(path.join(scratch, 'files', name), text, { mode: PRIVATE });
    }
    await mkdir(path.join(scratch, 'files/EFI/BOOT'), { recursive: true });
    await runProgram('tar', ['-xf', images.systemTar, '-C', scratch, '--no-same-owner', BOOT_LOADER], {
      budget,
    });
    await rename(path.join(scratch, BOOT_LOADER), path.join(scratch, 'files/EFI/BOOT/BOOTX64.EFI'));
    const copy = (args: readonly string[]): Promise<string> =>
      toolbox.run('mcopy', ['-s', '-i', esp, ...args], budget);
    await copy([path.join(scratch, 'files/EFI'), path.join(scratch, 'files/loader'), '::']);
    await copy([kernel, '::/vmlinuz']);
    await copy([initrd, '::/installer']);
    const raw = path.join(scratch, 'disk.img');
    await makeSparse(raw, sizeMiB + 2 * MARGIN_MIB, PRIVATE);
    await toolbox.run(
      'sgdisk',
      [
        `--new=1:${String(MARGIN_MIB)}M:+${String(sizeMiB)}M`,
        '--typecode=1:ef00',
        '--change-name=1:imperm-installer',
        raw,
      ],
      budget,
    );
    await putPartition(esp, { disk: raw, startMiB: MARGIN_MIB, budget });
    await runProgram('cp', ['--sparse=always', raw, file], { budget });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
