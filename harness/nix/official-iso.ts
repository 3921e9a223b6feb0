import { mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, cachedFolder, digestOf, HarnessError } from '../core/index.js';
import type { Toolbox } from '../host/index.js';

/** What a machine boots when the boot loader of a medium is passed by. */
export interface IsoKernel {
  readonly kernel: string;
  readonly initrd: string;
  /** Of the medium's first entry. */
  readonly commandLine: string;
}

/** Where releases of NixOS have put the configuration of GRUB. */
const GRUB_CONFIGS = ['/EFI/BOOT/grub.cfg', '/EFI/boot/grub.cfg', '/boot/grub/grub.cfg'];

/**
 * Reads the first boot entry of an installation medium of NixOS and takes its kernel and initrd out of it. Nothing is
 * mounted.
 *
 * @param iso An ISO image.
 * @throws {HarnessError} USAGE when it is no image, or one without such an entry.
 */
export async function openOfficialIso(
  iso: string,
  options: { readonly toolbox: Toolbox; readonly cacheDir: string; readonly budget: Budget },
): Promise<IsoKernel> {
  const { toolbox, budget } = options;
  const info = await stat(iso).catch(() => undefined);
  if (info?.isFile() !== true) throw new HarnessError('USAGE', `There is no ISO image ${iso}`);
  const { dir } = await cachedFolder({
    cacheDir: options.cacheDir,
    name: 'iso',
    key: digestOf('1', path.resolve(iso), String(info.size), String(info.mtimeMs)),
    budget,
    build: async (part) => {
      const extract = (source: string, target: string): Promise<string> =>
        toolbox.run(
          'xorriso',
          ['-abort_on', 'FAILURE', '-osirrox', 'on', '-indev', `stdio:${iso}`, '-extract', source, target],
          budget,
        );
      const config = path.join(part, 'grub.cfg');
      let isFound = false;
      for (const candidate of GRUB_CONFIGS)
        isFound ||= await extract(candidate, config).then(
          () => true,
          () => false,
        );
      if (!isFound) throw notABootMedium(iso, `it has none of ${GRUB_CONFIGS.join(', ')}`);
      const entry = parseGrubConfig(await readFile(config, 'utf8'));
      if (entry === undefined)
        throw notABootMedium(iso, 'its grub.cfg has no entry with a kernel and an initrd');
      await mkdir(part, { recursive: true });
      await extract(entry.kernel, path.join(part, 'kernel'));
      await extract(entry.initrd, path.join(part, 'initrd'));
    },
  });
  const entry = parseGrubConfig(await readFile(path.join(dir, 'grub.cfg'), 'utf8'));
  return {
    kernel: path.join(dir, 'kernel'),
    initrd: path.join(dir, 'initrd'),
    commandLine: entry?.commandLine ?? '',
  };
}

function notABootMedium(iso: string, why: string): HarnessError {
  return new HarnessError('USAGE', `${iso} is no installation medium of NixOS: ${why}`, {
    hint: 'Take the minimal ISO image from nixos.org/download, or leave --medium out: imperm then builds its own.',
  });
}

/**
 * The first entry of a configuration of GRUB that starts a kernel.
 *
 * @returns Kernel and initrd as paths on the medium. Words that GRUB would fill in (`${isoboot}`) are left out: they are
 * empty on a CD.
 */
export function parseGrubConfig(text: string): IsoKernel | undefined {
  const words = (command: string): string[] | undefined =>
    new RegExp(`^\\s*${command}\\s+(.+)$`, 'm')
      .exec(text)?.[1]
      ?.split(/\s+/)
      .filter((word) => word !== '' && !word.startsWith('$'));
  const [kernel, ...parameters] = words('linux') ?? [];
  const [initrd] = words('initrd') ?? [];
  if (kernel === undefined || initrd === undefined) return undefined;
  return { kernel, initrd, commandLine: parameters.join(' ') };
}
