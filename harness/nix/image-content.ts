import { readFile, readlink } from 'node:fs/promises';
import path from 'node:path';

import { HarnessError } from '../core/index.js';
import { ENTRY_FILE, type EspFile, type ImageContent, LOADER_CONF, REGISTRATION } from '../guest/index.js';
import type { HostNix } from './host-nix.js';

/** What is asked of a system's bootspec. */
interface Bootspec {
  readonly kernel: string;
  readonly initrd: string;
  readonly kernelParams: readonly string[];
}

/**
 * A system that Nix has built, as a disk image holds it: its closure with the registration, and what systemd-boot's
 * installer writes for a first generation.
 *
 * @param system.toplevel Store path of the system.
 * @param system.closure Store path of what `closureInfo` makes of it: `store-paths` and `registration`.
 * @throws {HarnessError} NIX_FAILED when the system has no bootspec.
 */
export async function nixosImageContent(
  { toplevel, closure }: { readonly toplevel: string; readonly closure: string },
  nix: HostNix,
): Promise<ImageContent> {
  const folder = nix.realPath(closure);
  const paths = (await readFile(path.join(folder, 'store-paths'), 'utf8')).split('\n').filter(Boolean);
  const { kernel, initrd, kernelParams } = await readBootspec(nix.realPath(toplevel));
  const systemd = await readlink(nix.realPath(`${toplevel}/systemd`));
  const [kernelFile, initrdFile] = [kernel, initrd].map((file) => `EFI/nixos/${nameOnEsp(file)}`);
  const entry = [
    'title NixOS',
    'sort-key nixos',
    'version Generation 1',
    `linux /${kernelFile ?? ''}`,
    `initrd /${initrdFile ?? ''}`,
    `options ${[`init=${toplevel}/init`, ...kernelParams].join(' ')}`,
    '',
  ].join('\n');
  return {
    fillNix: async (target, { runAsRoot }) => {
      // Not the owners: those of the host's store are nobody in a namespace. Whoever runs this is root there.
      const copy = [
        'cp',
        '--recursive',
        '--no-dereference',
        '--preserve=mode,timestamps,links',
        '--reflink=auto',
      ];
      for (const storePath of paths)
        await runAsRoot([...copy, nix.realPath(storePath), path.join(target, 'store')]);
      const registration = path.join(target, path.relative('/nix', REGISTRATION));
      await runAsRoot(['cp', path.join(folder, 'registration'), registration]);
      await runAsRoot(['chmod', '0644', registration]);
    },
    esp: new Map<string, EspFile>([
      ['EFI/BOOT/BOOTX64.EFI', { storePath: `${systemd}/lib/systemd/boot/efi/systemd-bootx64.efi` }],
      [kernelFile ?? '', { storePath: kernel }],
      [initrdFile ?? '', { storePath: initrd }],
      [`loader/entries/${ENTRY_FILE}`, { content: entry }],
      ['loader/loader.conf', { content: LOADER_CONF }],
    ]),
  };
}

/** `/nix/store/<hash>-linux-6.12/bzImage` is `<hash>-linux-6.12-bzImage.efi` there. */
function nameOnEsp(file: string): string {
  return `${path.relative('/nix/store', file).replaceAll('/', '-')}.efi`;
}

async function readBootspec(toplevel: string): Promise<Bootspec> {
  const file = path.join(toplevel, 'boot.json');
  const text = await readFile(file, 'utf8').catch(() => '{}');
  const bootspec = (JSON.parse(text) as Record<string, Bootspec | undefined>)['org.nixos.bootspec.v1'];
  if (bootspec === undefined)
    throw new HarnessError('NIX_FAILED', `The system has no bootspec that says how it boots: ${file}`);
  return bootspec;
}
