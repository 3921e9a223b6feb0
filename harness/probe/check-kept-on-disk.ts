import {
  type FileSystem,
  findHolder,
  isAtOrBelow,
  type KeptPromise,
  promisedSystem,
} from '../scenario/index.js';
import { describeDamage } from './check-kept.js';
import type { Subvolume } from './evidence.js';
import { count, type DiskContext, type Finding } from './finding.js';

/**
 * What was planted below a kept path is on the powered-off disk, unchanged, that of the last boot included. A running
 * system may show what was never written, and a path that nobody mounts any more hides what is still there.
 */
export function checkKeptOnDisk(promise: KeptPromise, context: DiskContext): Finding[] {
  const planted = context.planted.flatMap(({ plan, evidence }) => {
    const folder = plan.kept.get(promise.id);
    return [...evidence.canaries.values()].filter(
      ({ path }) => folder !== undefined && isAtOrBelow(path, folder),
    );
  });
  const place = findPlace(promise.source ?? promise.path, promisedSystem(context.scenario).fileSystems);
  if (planted.length === 0 || place === undefined) return [];
  const expected = `${count(planted.length, 'thing')} planted in all boots are below ${place.path} on ${place.device}`;
  const volume = context.evidence.volumes.find(({ device }) => device === place.device);
  if (volume === undefined) {
    return [
      { promise, status: 'fail', expected, found: `${place.device} could not be read in the inspector` },
    ];
  }
  const damage = planted.flatMap((facts) =>
    describeDamage(
      facts,
      volume.canaries.get(`${place.path}${facts.path.slice(promise.path.length)}`.replace(/^\//, '')),
    ),
  );
  const [first] = damage;
  if (first === undefined) {
    const found = `${count(planted.length, 'thing')} of all boots unchanged on the powered-off disk, in ${place.path}`;
    return [{ promise, status: 'pass', found }];
  }
  return [
    {
      promise,
      status: 'fail',
      expected,
      found: `on the powered-off disk ${first}${damage.length > 1 ? ` (and ${count(damage.length - 1, 'more difference')})` : ''}`,
      cause: hasSubvolume(place, volume.subvolumes)
        ? `${promise.path} is not written to ${place.path} on ${place.device}, where the layout says it is kept.`
        : `There is no subvolume ${place.subvolume ?? ''} on ${place.device}: something has deleted or renamed it, with all that is kept in it.`,
      evidence: damage.slice(0, 8),
    },
  ];
}

interface KeptPlace {
  readonly device: string;
  /** From its top level. */
  readonly path: string;
  /** Whose files it is among. */
  readonly subvolume?: string;
}

function hasSubvolume({ subvolume = '' }: KeptPlace, there: readonly Subvolume[]): boolean {
  return subvolume === '' || there.some(({ path }) => path === subvolume);
}

/** The file system on a disk that holds a path, and the path from its top level. Nothing for what lies in memory. */
function findPlace(path: string, fileSystems: readonly FileSystem[]): KeptPlace | undefined {
  const mountPoint = findHolder(
    path,
    fileSystems.map((each) => each.mountPoint),
  );
  const holder = fileSystems.find((each) => each.mountPoint === mountPoint);
  if (holder === undefined) return undefined;
  const rest = holder.mountPoint === '/' ? path : path.slice(holder.mountPoint.length);
  if (holder.device.startsWith('/dev/'))
    return {
      device: holder.device,
      path: `${holder.subvolume ?? ''}${rest}`,
      ...(holder.subvolume === undefined ? {} : { subvolume: holder.subvolume }),
    };
  // A bind mount: its source is a path of its own.
  return holder.device.startsWith('/') ? findPlace(holder.device + rest, fileSystems) : undefined;
}
