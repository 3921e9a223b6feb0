import os from 'node:os';
import path from 'node:path';

import { HarnessError } from '../core/index.js';
import { checkShape } from './check-shape.js';
import { hostSchema, networkSchema } from './host-schema.js';
import { placeOf } from './located.js';
import { parseYaml } from './parse-yaml.js';
import { type Problem, problemsError, type ProblemsOf } from './problem.js';
import { showFile } from './read-chain.js';
import { readSmallText } from './read-text.js';

/** What a disk has to be called by its maker, to the letter. */
export interface DiskIdentity {
  readonly serial: string;
  readonly model: string;
  readonly sizeBytes: number;
  /** Name in /dev/disk/by-id. */
  readonly id?: string;
}

/** A fixed address: `192.0.2.7/24`, `192.0.2.1`. */
export interface HardwareNetwork {
  readonly address: string;
  readonly gateway?: string;
}

/** A machine that is reached only by SSH. */
export interface HardwareHost {
  /** As a person knows the file. */
  readonly file: string;
  readonly address: string;
  readonly port: number;
  /** Path of the private key that lets root in. */
  readonly keyFile: string;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  /** How the system under test is reached once it runs. */
  readonly system: {
    readonly address: string;
    readonly port: number;
    /** Absent: DHCP. */
    readonly network?: HardwareNetwork;
    readonly kernelParameters: readonly string[];
  };
  /** `device` as the kernel names it: `ttyS0,115200n8`. */
  readonly console?: { readonly command: readonly string[]; readonly device: string };
  readonly power?: { readonly off: readonly string[]; readonly on: readonly string[] };
  /** Multiplies every time limit. */
  readonly timeScale: number;
  /** The only disks that may be written, by the name that scenarios give them. */
  readonly disks: ReadonlyMap<string, DiskIdentity>;
}

const OF_HOST: ProblemsOf = {
  code: 'USAGE',
  name: 'host file',
  help: '`imperm hardware check --help` explains every key.',
};

/**
 * Reads the description of a machine. Nothing is asked of the machine.
 *
 * @throws {HarnessError} USAGE with every problem and its place.
 */
export async function loadHost(file: string): Promise<HardwareHost> {
  const shown = showFile(file);
  const folder = path.dirname(path.resolve(file));
  const start = { file: shown, line: 1, col: 1 };
  const fail = (problems: readonly Problem[]): never => {
    throw problemsError(problems, OF_HOST);
  };
  const content = await readSmallText(path.resolve(file));
  if ('refusal' in content)
    return fail([{ place: start, message: `the host file ${shown} ${content.refusal}` }]);
  const { root, problems } = parseYaml({ shown, folder, text: content.text });
  if (root === undefined) return fail(problems);
  if (!(root.value instanceof Map))
    return fail([...problems, { place: root.place, message: 'a host file must be a map' }]);
  const shape = checkShape(root, { schema: hostSchema, name: 'host file' });
  const all = [...problems, ...shape.problems];
  const { ssh, disks = {}, system, power, timeScale } = shape.input;
  const programOf = ([program = '', ...args]: readonly string[]): string[] => [
    program.includes('/') ? path.resolve(folder, atHome(program)) : program,
    ...args,
  ];
  const seen = new Set<string>();
  for (const [name, { serial, id = '' }] of Object.entries(disks)) {
    const key = `${serial} ${id}`;
    if (seen.has(key))
      all.push({
        place: placeOf(root, ['disks', name, 'serial']),
        message: 'another disk of this file has the same serial number; it cannot be both',
      });
    seen.add(key);
  }
  if (all.length > 0 || ssh === undefined || system === undefined || timeScale === undefined)
    return fail(all);
  const { address, network, ...reached } = system;
  return {
    file: shown,
    address: ssh.address,
    port: ssh.port,
    keyFile: path.resolve(folder, atHome(ssh.key)),
    hostKey: ssh.hostKey.split(' ').slice(0, 2).join(' '),
    system: {
      ...reached,
      address: address ?? ssh.address,
      ...(network === undefined ? {} : { network }),
    },
    ...(shape.input.console === undefined
      ? {}
      : { console: { ...shape.input.console, command: programOf(shape.input.console.command) } }),
    ...(power === undefined ? {} : { power: { off: programOf(power.off), on: programOf(power.on) } }),
    timeScale,
    disks: new Map(
      Object.entries(disks).map(([name, { serial, model, size, id }]) => [
        name,
        { serial, model, sizeBytes: size, ...(id === undefined ? {} : { id }) },
      ]),
    ),
  };
}

/**
 * A fixed address from the command line.
 *
 * @returns Undefined when there is none.
 * @throws {HarnessError} USAGE.
 */
export function parseNetwork({ address, gateway }: Partial<HardwareNetwork>): HardwareNetwork | undefined {
  if (address === undefined && gateway === undefined) return undefined;
  const parsed = networkSchema.safeParse({ address, ...(gateway === undefined ? {} : { gateway }) });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new HarnessError('USAGE', `--${String(issue?.path[0])} ${issue?.message ?? 'cannot be used'}`);
}

function atHome(file: string): string {
  return file.replace(/^~(?=\/)/, os.homedir());
}
