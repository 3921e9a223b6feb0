import { lstat, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Budget, runProgram } from '../core/index.js';
import type { Variant } from '../scenario/index.js';
import type { MachineDisk } from '../target/index.js';
import type { RunContext } from './context.js';
import { KEPT_DIR, KEPT_FILE, KEPT_VERSION, type KeptDescription, SECRETS_FILE } from './kept-machine.js';
import type { MachineParts } from './machine-parts.js';

/** Between two file systems disks are copied. */
const MOVE_MS = 1_800_000;
const BLOCK_BYTES = 512;

/**
 * Keeps a machine that is off: its parts are moved, not doubled, and holes in them stay holes.
 *
 * @param context.folder Of the variant.
 * @returns What it takes on the disk.
 * @throws {HarnessError} TOOL_FAILED when there is no room for it; nothing of it is then kept. INTERRUPTED.
 */
export async function keepMachine(
  variant: Variant,
  parts: MachineParts,
  context: Pick<RunContext, 'host' | 'guest' | 'signal'> & { readonly folder: string },
): Promise<{ readonly name: string; readonly sizeBytes: number }> {
  const folder = path.join(context.folder, KEPT_DIR);
  const budget = Budget.start('the disks to be kept', MOVE_MS, context.signal);
  const disks = [...parts.disks, ...parts.faults.clones];
  const { tpmDir, nvramFile } = parts;
  try {
    // Nobody else's: what is on the disks is as secret as what opens them.
    await mkdir(folder, { mode: 0o700 });
    const files = new Set<string>();
    for (const disk of disks) for (const file of await listChain(disk, context, budget)) files.add(file);
    // A machine that was never powered on has a TPM without a state.
    if (tpmDir !== undefined) await mkdir(tpmDir, { recursive: true, mode: 0o700 });
    const moved = [...files, nvramFile, ...(tpmDir === undefined ? [] : [tpmDir])];
    await runProgram('mv', ['--', ...moved, `${folder}${path.sep}`], { budget });
    const { passphrase, luksKey, password } = parts;
    await writeJson(path.join(folder, SECRETS_FILE), { passphrase, luksKey, password });
    await writeJson(path.join(folder, KEPT_FILE), describeMachine(variant, parts, context.guest.name));
    return { name: KEPT_DIR, sizeBytes: await measure(folder) };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function describeMachine({ id, scenario }: Variant, parts: MachineParts, guest: string): KeptDescription {
  const { name, title, file, machine, system, consoleAllow } = scenario;
  const { disks, faults } = parts;
  return {
    version: KEPT_VERSION,
    variant: id,
    scenario: { name, title, file },
    guest,
    stage1: system.stage1,
    machine,
    secureBoot: system.secureBoot !== undefined,
    hasTpm: parts.tpmDir !== undefined,
    ...(faults.clock === undefined ? {} : { clock: faults.clock }),
    consoleAllow: [...consoleAllow],
    disks: [...disks, ...faults.clones].map(({ backingFile: _found, readOnly: _never, ...disk }) => {
      const rate = faults.rates.get(disk.name);
      return {
        ...disk,
        file: path.basename(disk.file),
        isAbsent: faults.absent.has(disk.name),
        ...(rate === undefined ? {} : { rate }),
      };
    }),
  };
}

/** The file of a disk, and those that show through it. They name each other without a folder. */
async function listChain(
  disk: MachineDisk,
  { host }: Pick<RunContext, 'host'>,
  budget: Budget,
): Promise<string[]> {
  const args = ['info', '--backing-chain', '--output=json', '-f', disk.format, disk.file];
  const chain = JSON.parse(await host.toolbox.run('qemu-img', args, budget)) as { filename: string }[];
  return chain.map(({ filename }) => path.resolve(path.dirname(disk.file), filename));
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFile(file, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
}

/** Bytes that the files of a folder take on the disk, holes left out. */
async function measure(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(
    entries.map(async (name) => (await lstat(path.join(folder, name))).blocks * BLOCK_BYTES),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
