import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

/**
 * What lies in a variant's folder of evidence, as far as people want to see it. Readers of records do not need it: what is
 * missing, or has another form than this version writes, is left out of the picture, and changes no verdict.
 */
export interface VariantEvidence {
  /** Subvolumes after the install. */
  readonly installed?: readonly Subvolume[];
  /** By the number of the boot. */
  readonly boots: ReadonlyMap<number, BootLook>;
  /** What was planted in a boot, and the subvolumes right after. */
  readonly planted: ReadonlyMap<number, PlantedLook>;
  /** The powered-off disk. */
  readonly disk?: DiskLook;
  readonly console?: string;
  /** A PNG. */
  readonly screen?: Buffer;
}

const subvolume = z.object({ path: z.string(), uuid: z.string(), id: z.number().optional() });
const subvolumes = z.array(subvolume);

const bootLook = z.object({
  subvolumes,
  mounts: z.array(
    z.object({ mountPoint: z.string(), root: z.string(), source: z.string(), fsType: z.string() }),
  ),
  swaps: z.array(z.string()).default([]),
  /** Links below /dev, and where they lead. */
  devices: z.record(z.string(), z.string()).default({}),
  /** Of stage 1 and of the rollback. */
  journal: z.array(z.object({ monotonicUs: z.number(), message: z.string() })).default([]),
  canaries: z.record(z.string(), z.unknown()).default({}),
});

const plantedLook = z.object({ subvolumes, canaries: z.record(z.string(), z.unknown()) });

const diskLook = z.object({
  blocks: z
    .array(
      z.object({
        kernelName: z.string(),
        parent: z.string(),
        path: z.string(),
        type: z.string(),
        fsType: z.string(),
        label: z.string(),
        sizeBytes: z.number(),
      }),
    )
    .default([]),
  volumes: z.array(z.object({ device: z.string(), subvolumes })).default([]),
});

const installLook = z.object({ subvolumes });

export type Subvolume = z.output<typeof subvolume>;
export type BootLook = z.output<typeof bootLook>;
export type PlantedLook = z.output<typeof plantedLook>;
export type DiskLook = z.output<typeof diskLook>;

/** @param folder The variant's folder of evidence; one that is not there has none. */
export async function readEvidence(folder: string): Promise<VariantEvidence> {
  const names = await readdir(folder).catch(() => []);
  const readJson = async <T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> => {
    try {
      return schema.safeParse(JSON.parse(await readFile(path.join(folder, name), 'utf8'))).data;
    } catch {
      return undefined;
    }
  };
  const readNumbered = async <T>(form: RegExp, schema: z.ZodType<T>): Promise<Map<number, T>> => {
    const found = new Map<number, T>();
    for (const name of names) {
      const number = Number(form.exec(name)?.[1] ?? Number.NaN);
      const value = Number.isNaN(number) ? undefined : await readJson(name, schema);
      if (value !== undefined) found.set(number, value);
    }
    return new Map([...found].sort(([one], [other]) => one - other));
  };
  const installed = (await readJson('install.json', installLook))?.subvolumes;
  const disk = await readJson('disk.json', diskLook);
  const console = await readFile(path.join(folder, 'console.log'), 'utf8').catch(() => undefined);
  const screen = await readFile(path.join(folder, 'screen.png')).catch(() => undefined);
  return {
    boots: await readNumbered(/^boot-(\d+)\.json$/, bootLook),
    planted: await readNumbered(/^planted-(\d+)\.json$/, plantedLook),
    ...(installed === undefined ? {} : { installed }),
    ...(disk === undefined ? {} : { disk }),
    ...(console === undefined ? {} : { console }),
    ...(screen === undefined ? {} : { screen }),
  };
}
