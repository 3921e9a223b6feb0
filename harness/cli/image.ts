import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Budget, type Environment, EXIT, HarnessError } from '../core/index.js';
import {
  buildImages,
  makeInstallerImage,
  renderInstallerCommandLine,
  renderNetworkParameters,
} from '../guest/index.js';
import { openToolbox } from '../host/index.js';
import { parseNetwork } from '../scenario/index.js';
import { makeMachineKeys } from '../target/index.js';
import type { HostOptions } from './options.js';
import { ensureHostPackages } from './set-up.js';
import { withSignals } from './signals.js';

const LIMIT_MS = 1_800_000;
const SSH_PORT = 22;
const PUBLIC_KEY = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-\S+|sk-\S+) [A-Za-z0-9+/]+=*( .*)?$/;

export interface ImageOptions extends HostOptions {
  /** File of the public key that is let in. */
  readonly authorizedKey: string;
  readonly address?: string;
  readonly gateway?: string;
  /** Kernel, initrd and command line as files in a folder, instead of an image. */
  readonly netboot: boolean;
}

/**
 * Makes an installer for real machines: in memory once it has started, with an SSH server that a key made for it proves.
 *
 * @param target The image, or with `netboot` a folder.
 * @throws {HarnessError} USAGE when the key or the address cannot be used; TOOL_FAILED.
 */
export async function makeImage(
  target: string,
  options: ImageOptions,
  environment: Environment,
): Promise<number> {
  const clientPublic = (
    await readFile(options.authorizedKey, 'utf8').catch((cause: unknown) => {
      throw new HarnessError('USAGE', `The key ${options.authorizedKey} cannot be read`, { cause });
    })
  ).trim();
  if (!PUBLIC_KEY.test(clientPublic)) {
    throw new HarnessError('USAGE', `${options.authorizedKey} is no public key`, {
      hint: '`ssh-keygen -t ed25519 -N "" -f bench` makes a pair: bench.pub goes here, bench into the host file.',
    });
  }
  const network = parseNetwork(options);
  return withSignals(async (signal) => {
    await ensureHostPackages(options, environment, signal);
    const budget = Budget.start('the installer to be made', LIMIT_MS, signal);
    const { cacheDir, debianMirror, workDir } = environment;
    const say = (text: string): void => {
      process.stderr.write(`imperm: ${text}\n`);
    };
    const toolbox = await openToolbox({
      kind: options.tools,
      suite: environment.toolsSuite,
      cacheDir,
      mirror: debianMirror,
      budget,
      onBuild: () => {
        say('unpacking tools (once, 310 MB)');
      },
    });
    const images = await buildImages({
      toolbox,
      cacheDir,
      mirror: debianMirror,
      needs: { packages: [], signedModules: false, hardware: true },
      budget,
      onBuild: () => {
        say('building the installer from Debian packages (once, about a minute)');
      },
    });
    const keys = makeMachineKeys();
    const parameters = renderNetworkParameters({
      hostPrivate: keys.hostPrivate,
      clientPublic,
      port: SSH_PORT,
      ...(network === undefined ? {} : { network }),
    });
    if (options.netboot) {
      await mkdir(target, { recursive: true });
      await copyFile(images.installer.kernel, path.join(target, 'vmlinuz'));
      await copyFile(images.installer.initrd, path.join(target, 'installer'));
      await writeFile(path.join(target, 'command-line'), `${renderInstallerCommandLine(parameters)}\n`, {
        mode: 0o600,
      });
    } else {
      await makeInstallerImage({ images, parameters, file: target, toolbox, workDir, budget });
    }
    process.stdout.write(describe(target, keys.hostPublic, options));
    return EXIT.ok;
  });
}

function describe(
  target: string,
  hostKey: string,
  { netboot, address, authorizedKey }: ImageOptions,
): string {
  const how = netboot
    ? `Boot ${target}/vmlinuz with the initrd ${target}/installer and the line in ${target}/command-line.`
    : `Write it to a USB stick (sudo dd if=${target} of=/dev/sdX bs=4M oflag=direct conv=fsync), and make it the first
that the machine's firmware starts, by UEFI and without Secure Boot.`;
  return `${target}: the installer; keep it private, it holds the host key.

${how}
Its address is ${address === undefined ? 'the one that DHCP gives it' : address}. For the host file:

ssh:
  address: ${address?.replace(/\/.*/, '') ?? 'ADDRESS'}
  key: ${authorizedKey.replace(/\.pub$/, '')}
  hostKey: ${hostKey.trim()}
`;
}
