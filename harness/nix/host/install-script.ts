import { HarnessError, quote } from '../../core/index.js';
import type { HostDescription } from './description.js';

/** A script of the user's own that fills the disk. */
export interface OwnInstall {
  readonly file: string;
  readonly text: string;
}

const PUT_KEY = 'install -D -m 0400 "$LUKS_PASSPHRASE_FILE"';

/**
 * Makes the scripts that install a host: disko's or the user's own, and after it what a person puts on a new disk by hand.
 *
 * @param accounts Files for the hashes of passwords, as paths of the installed system.
 * @throws {HarnessError} USAGE when there is neither disko nor a script.
 */
export function renderInstall(
  host: HostDescription,
  options: { readonly name: string; readonly own?: OwnInstall; readonly accounts: readonly string[] },
): readonly string[] {
  const { own, name } = options;
  if (own === undefined && host.disks.length === 0)
    throw new HarnessError(
      'USAGE',
      `${name} has no disko configuration, so nothing says how its disk is made`,
      {
        hint: 'Write down how, as a script that partitions $DISK and leaves everything mounted below /mnt, and name it: --install ./install.sh',
      },
    );
  return [own?.text ?? renderDisko(host), ...renderAfterwards(host, options.accounts)];
}

function renderDisko({ diskoLuks }: HostDescription): string {
  const files = [...new Set(diskoLuks.flatMap((each) => each.files))];
  const keys = [...new Set(diskoLuks.flatMap(({ additionalKeyFiles }) => additionalKeyFiles))];
  const asks = diskoLuks.some((each) => each.asks);
  return [
    '#!/usr/bin/env bash',
    "# $DISKO_SCRIPT: what disko makes of this host's disko.devices (config.system.build.diskoScript).",
    'set -euo pipefail',
    ...files.map((file) => `${PUT_KEY} ${quote(file)}`),
    ...keys.map((file) => `install -D -m 0400 <(head -c 64 /dev/urandom) ${quote(file)}`),
    asks
      ? '# It asks for passphrases, each twice.\n"$DISKO_SCRIPT" < <(yes "$(cat "$LUKS_PASSPHRASE_FILE")")'
      : '"$DISKO_SCRIPT" </dev/null',
    '',
  ].join('\n');
}

function renderAfterwards(host: HostDescription, accounts: readonly string[]): string[] {
  const keyFiles = new Set(host.luks.map(({ keyFile }) => keyFile));
  const secrets = host.initrdSecrets.filter(({ source }) => source.startsWith('/') && !isInStore(source));
  if (accounts.length === 0 && secrets.length === 0) return [];
  const lines = [
    ...accounts.flatMap((file) => [
      `mkdir -p "$(dirname ${quote(`/mnt${file}`)})"`,
      `(umask 077; mkpasswd --method=sha-512 --stdin <"$PASSWORD_FILE" >${quote(`/mnt${file}`)})`,
    ]),
    ...(secrets.length === 0 ? [] : ['# boot.initrd.secrets']),
    ...secrets.flatMap(({ path, source }) => {
      const file = quote(`/mnt${source}`);
      if (keyFiles.has(path)) return [`[ -e ${file} ] || ${PUT_KEY} ${file}`];
      const folder = `mkdir -p "$(dirname ${file})"`;
      return /ssh.*key/.test(source)
        ? [folder, `[ -e ${file} ] || ssh-keygen -q -t ed25519 -N '' -f ${file}`]
        : [`[ -e ${file} ] || install -D -m 0400 <(head -c 64 /dev/urandom) ${file}`];
    }),
    '',
  ];
  return [lines.join('\n')];
}

/** Whether a path is there without anybody's doing. */
export function isInStore(path: string): boolean {
  return path.startsWith('/nix/store/');
}
