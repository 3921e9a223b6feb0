import { access, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

import { type Budget, HarnessError, runProgram } from '../core/index.js';
import { openToolsTree, type ToolCommand } from './tools-tree.js';

/** Packages of the private tools tree. */
const TOOL_PACKAGES = [
  'btrfs-progs',
  'dosfstools',
  'gdisk',
  'mtools',
  'nix-bin',
  'ovmf',
  'qemu-system-x86',
  'qemu-utils',
  'swtpm',
  'xorriso',
];

/** QEMU, its firmware and the other tools a run needs on the host. */
export interface Toolbox {
  readonly kind: 'private' | 'host';
  /** The words to start a program with, arguments appended. */
  command(program: string, args?: readonly string[]): ToolCommand;
  /** Runs a program to its end, as `runProgram`. */
  run(
    program: string,
    args: readonly string[],
    budget: Budget,
    options?: { env?: Record<string, string>; input?: string | Uint8Array; tailLines?: number },
  ): Promise<string>;
  readonly firmwareCode: string;
  /** The same firmware with Secure Boot; it needs a machine with SMM. Absent where the host has none. */
  readonly secureFirmwareCode?: string;
  /** Template of the firmware's variable store; every machine gets a copy. */
  readonly firmwareVars: string;
  /** `10.0.13 (Debian …)` */
  readonly qemuVersion: string;
  /** Where the firmware comes from, for the record. */
  readonly firmwareVersion: string;
}

export interface OpenToolboxOptions {
  readonly kind: 'private' | 'host';
  /** The release of Debian that a private one is made of. Default: that of `openToolsTree`. */
  readonly suite?: string | undefined;
  readonly cacheDir: string;
  readonly mirror: string | undefined;
  readonly budget: Budget;
  readonly onBuild?: () => void;
}

/**
 * The private toolbox is a tree of Debian packages in the cache. The host's own tools are used instead when asked for (a
 * NixOS shell, say).
 *
 * @throws {HarnessError} TOOL_FAILED when the tree cannot be unpacked; HOST_UNFIT when the host lacks a tool; USAGE for what
 *   cannot be a release of Debian.
 */
export async function openToolbox(options: OpenToolboxOptions): Promise<Toolbox> {
  return options.kind === 'host' ? openHostToolbox(options.budget) : openPrivateToolbox(options);
}

async function openPrivateToolbox(options: OpenToolboxOptions): Promise<Toolbox> {
  const { suite, ...rest } = options;
  if (suite !== undefined && !/^[a-z][a-z0-9.-]*$/.test(suite)) {
    throw new HarnessError('USAGE', `There is no release of Debian named "${suite}"`, {
      hint: 'IMPERM_TOOLS_SUITE takes a name such as bookworm, trixie or sid. Without it imperm takes its own choice.',
    });
  }
  const tree = await openToolsTree({
    ...rest,
    ...(suite === undefined ? {} : { suite }),
    name: 'tools',
    packages: TOOL_PACKAGES,
    // The second is where Nix has its own until Debian 12.
    libraryFolders: ['swtpm', '../nix'],
  });
  const { dir } = tree;
  const command = (program: string, args: readonly string[] = []): ToolCommand => {
    const data = program.startsWith('qemu-system')
      ? ['-L', path.join(dir, 'usr/share/qemu'), '-L', path.join(dir, 'usr/share/seabios')]
      : [];
    return {
      args: [...tree.words(program), ...data, ...args],
      env: { QEMU_MODULE_DIR: path.join(tree.libraries, 'qemu') },
    };
  };
  const changes = gunzipSync(
    await readFile(path.join(dir, 'usr/share/doc/ovmf/changelog.Debian.gz')),
  ).toString();
  const version = /\((.+?)\)/.exec(changes)?.[1] ?? 'of unknown version';
  return finishToolbox(
    {
      kind: 'private',
      command,
      firmwareFolder: path.join(dir, 'usr/share/OVMF'),
      firmwareVersion: `OVMF ${version}`,
    },
    options.budget,
  );
}

/** Where distributions put the firmware pair. */
const FIRMWARE_FOLDERS = [
  '/usr/share/OVMF',
  '/usr/share/edk2/ovmf',
  '/usr/share/edk2/x64',
  '/run/libvirt/nix-ovmf',
];

/** What distributions call its files: Debian, Arch, Fedora. */
const FIRMWARE_NAMES = [
  { code: 'OVMF_CODE_4M.fd', secureCode: 'OVMF_CODE_4M.secboot.fd', vars: 'OVMF_VARS_4M.fd' },
  { code: 'OVMF_CODE.4m.fd', secureCode: 'OVMF_CODE.secboot.4m.fd', vars: 'OVMF_VARS.4m.fd' },
  { code: 'OVMF_CODE.fd', secureCode: 'OVMF_CODE.secboot.fd', vars: 'OVMF_VARS.fd' },
];

async function openHostToolbox(budget: Budget): Promise<Toolbox> {
  const command = (program: string, args: readonly string[] = []): ToolCommand => ({
    args: [program, ...args],
    env: {},
  });
  for (const folder of FIRMWARE_FOLDERS) {
    const names = await readdir(folder).catch(() => []);
    if (names.some((name) => /^OVMF_CODE(_4M|\.4m)?\.fd$/.test(name))) {
      const firmwareVersion = `OVMF of the host (${folder})`;
      return finishToolbox({ kind: 'host', command, firmwareFolder: folder, firmwareVersion }, budget);
    }
  }
  throw new HarnessError('HOST_UNFIT', `No UEFI firmware (OVMF) found in ${FIRMWARE_FOLDERS.join(', ')}`, {
    hint: 'Install the package ovmf or edk2-ovmf, or run without `--tools host`: imperm then brings its own.',
  });
}

async function finishToolbox(
  parts: Pick<Toolbox, 'kind' | 'command' | 'firmwareVersion'> & { readonly firmwareFolder: string },
  budget: Budget,
): Promise<Toolbox> {
  const { command, firmwareFolder } = parts;
  const run: Toolbox['run'] = async (program, args, runBudget, options = {}) => {
    const { args: words, env } = command(program, args);
    const [file, ...rest] = words;
    const result = await runProgram(file ?? program, rest, {
      budget: runBudget,
      env: { ...env, ...options.env },
      ...(options.input === undefined ? {} : { input: options.input }),
      ...(options.tailLines === undefined ? {} : { tailLines: options.tailLines }),
    });
    return result.stdout;
  };
  const pair = (
    await Promise.all(
      FIRMWARE_NAMES.map(async (names) => {
        const code = path.join(firmwareFolder, names.code);
        const secureCode = path.join(firmwareFolder, names.secureCode);
        const vars = path.join(firmwareFolder, names.vars);
        if (!(await readable(code)) || !(await readable(vars))) return undefined;
        return { code, vars, ...((await readable(secureCode)) ? { secureCode } : {}) };
      }),
    )
  ).find((found) => found !== undefined);
  if (pair === undefined) {
    throw new HarnessError('HOST_UNFIT', `${firmwareFolder} holds no pair of OVMF_CODE and OVMF_VARS`);
  }
  const version = await run('qemu-system-x86_64', ['--version'], budget);
  return {
    kind: parts.kind,
    command,
    run,
    firmwareCode: pair.code,
    ...(pair.secureCode === undefined ? {} : { secureFirmwareCode: pair.secureCode }),
    firmwareVars: pair.vars,
    qemuVersion: (version.split('\n')[0] ?? version).replace('QEMU emulator version ', ''),
    firmwareVersion: parts.firmwareVersion,
  };
}

async function readable(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
