import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

import { HarnessError } from '../core/index.js';
import { CONSOLE_CLASS_NAMES } from '../scenario/index.js';

/** Raised when a reader of the old form would misread the new one. */
export const KEPT_VERSION = 1;
/** Of a variant's folder: the disks and all else that the machine needs. */
export const KEPT_DIR = 'kept';
/** What the machine is. */
export const KEPT_FILE = 'kept.json';
/** What opens it. For its owner's eyes; left out of everything that is passed on. */
export const SECRETS_FILE = 'secrets.json';

const place = z.object({ file: z.string(), line: z.number(), col: z.number() });

const disk = z.object({
  name: z.string(),
  bus: z.enum(['virtio', 'nvme']),
  sectorBytes: z.number().exactOptional(),
  namespace: z.object({ of: z.string(), number: z.number() }).exactOptional(),
  /** Below the folder. */
  file: z.string().regex(/^[^/]+$/),
  format: z.enum(['qcow2', 'raw']),
  bootIndex: z.number().exactOptional(),
  rate: z
    .object({
      bytesPerSecond: z.number().exactOptional(),
      operationsPerSecond: z.number().exactOptional(),
    })
    .exactOptional(),
  /** It is not plugged in when the machine is powered on. */
  isAbsent: z.boolean(),
});

const keptSchema = z.object({
  version: z.literal(KEPT_VERSION),
  variant: z.string(),
  scenario: z.object({ name: z.string(), title: z.string(), file: z.string() }),
  guest: z.string(),
  stage1: z.enum(['systemd', 'scripted']),
  machine: z.object({ memoryMiB: z.number(), cpus: z.number().exactOptional() }),
  secureBoot: z.boolean(),
  hasTpm: z.boolean(),
  clock: z.object({ shiftMs: z.number(), at: z.string().exactOptional() }).exactOptional(),
  /** As the scenario's: lines of the console that are no failure. */
  consoleAllow: z.array(
    z.object({
      class: z.enum(CONSOLE_CLASS_NAMES),
      match: z.string().exactOptional(),
      reason: z.string(),
      place,
    }),
  ),
  disks: z.array(disk).min(1),
});

const secretsSchema = z.object({ passphrase: z.string(), luksKey: z.string(), password: z.string() });

/** What is known of a kept machine besides its secrets. */
export type KeptDescription = z.output<typeof keptSchema>;

export interface KeptMachine extends KeptDescription {
  /** Absolute. */
  readonly folder: string;
  readonly secrets: z.output<typeof secretsSchema>;
}

export const NVRAM_NAME = 'nvram.fd';
export const TPM_NAME = 'tpm';

/**
 * Reads what `imperm run --keep` has left of a variant.
 *
 * @param folder Of the variant.
 * @returns Undefined when its machine was not kept.
 * @throws {HarnessError} USAGE when something of it is missing, or is not as this imperm writes it.
 */
export async function readKept(folder: string): Promise<KeptMachine | undefined> {
  const kept = path.resolve(folder, KEPT_DIR);
  if ((await stat(kept).catch(() => undefined))?.isDirectory() !== true) return undefined;
  const description = await readAs(path.join(kept, KEPT_FILE), keptSchema);
  const secrets = await readAs(path.join(kept, SECRETS_FILE), secretsSchema);
  return { ...description, folder: kept, secrets };
}

/**
 * The secrets of a kept machine alone.
 *
 * @param folder Of the variant.
 * @returns None when its machine was not kept.
 * @throws {HarnessError} USAGE when the file is there and cannot be read: then nobody knows what to look for.
 */
export async function readKeptSecrets(folder: string): Promise<readonly string[]> {
  const file = path.resolve(folder, KEPT_DIR, SECRETS_FILE);
  if ((await stat(file).catch(() => undefined)) === undefined) return [];
  return Object.values(await readAs(file, secretsSchema));
}

async function readAs<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const hint = 'Run the scenario again with --keep; a folder that was moved has to be moved as a whole.';
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new HarnessError('USAGE', `The kept machine cannot be read: ${describe(cause)}`, { hint, cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [problem] = parsed.error.issues;
  throw new HarnessError(
    'USAGE',
    `The kept machine cannot be read: ${file}: ${problem?.path.join('.') ?? ''}: ${problem?.message ?? ''}`,
    { hint },
  );
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
