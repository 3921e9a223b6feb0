import { quote } from '../core/index.js';
import { type BlankPromise, findRoot, promisedSystem } from '../scenario/index.js';
import type { DiskVolume } from './evidence.js';
import type { DiskContext, Finding } from './finding.js';
import type { Section } from './sections.js';

/** Name of the section that looks through the snapshot that the root is restored from. */
export const BLANK = 'blank';

/** @param mountPoint Of the top level. @param subvolume From there. */
export function blankSection(mountPoint: string, subvolume: string): Section {
  const path = quote(`${mountPoint}/${subvolume}`);
  return {
    name: BLANK,
    command: `btrfs property get -ts ${path} ro && printf '\\0' && find ${path} -mindepth 1 ! -type d -printf '%P\\0' | head -z -n 8`,
  };
}

/** @param parts What the section printed, between its zero bytes. */
export function readBlank(parts: readonly string[]): NonNullable<DiskVolume['blank']> {
  const [property = '', ...firstFiles] = parts;
  return { readOnly: property.trim() === 'ro=true', firstFiles };
}

/** Whatever is in it is in every root to come. */
export function checkBlank(
  { subvolume }: BlankPromise,
  { scenario, evidence }: DiskContext,
): Omit<Finding, 'promise'> {
  const device = findRoot(promisedSystem(scenario).fileSystems)?.device;
  const volume = evidence.volumes.find((each) => each.device === device);
  const expected = `the subvolume ${subvolume} is read-only and holds no file`;
  if (volume?.blank === undefined) {
    const isThere = volume?.subvolumes.some(({ path }) => path === subvolume) ?? true;
    return isThere
      ? { status: 'fail', expected, found: `${subvolume} could not be read in the inspector` }
      : {
          status: 'fail',
          expected,
          found: `there is no subvolume ${subvolume}`,
          cause: 'Something has deleted or renamed it, or the install has never made it.',
        };
  }
  const { readOnly, firstFiles } = volume.blank;
  const [first] = firstFiles;
  if (first !== undefined) {
    return {
      status: 'fail',
      expected,
      found: `${subvolume}/${first} is in it`,
      cause:
        'The snapshot was made after something had been written to the root, or was written to later: every boot begins with it. Take it right after the subvolume of the root is made, before anything is mounted or installed.',
      evidence: firstFiles,
    };
  }
  if (readOnly) return { status: 'pass', found: `${subvolume} is read-only and holds no file` };
  return {
    status: 'fail',
    expected,
    found: `${subvolume} can be written to`,
    cause: `Whatever is written to it is in every root to come. Make it by "btrfs subvolume snapshot -r", or set the property: btrfs property set -ts ${subvolume} ro true.`,
  };
}
