import { quote } from '../core/index.js';
import { findRoot, isAtOrBelow, type KeptPromise, promisedSystem, type Scenario } from '../scenario/index.js';

/** Name of everything that is planted; nothing else in a machine is called so. */
export const CANARY_NAME = 'imperm-canary';

/** Owner that no real account has, so that an owner given anew shows. */
const OWNER = '4711:4712';
const MTIME = '2001-02-03 04:05:06.789 UTC';

/** Where canaries of one boot lie. */
export interface CanaryPlan {
  readonly boot: number;
  /** Must be gone after the next boot. */
  readonly doomed: readonly string[];
  /** Must be there, unchanged, after every later boot: folder by the id of the promise. */
  readonly kept: ReadonlyMap<string, string>;
  /** Script that plants them all; its exit code is 0 only when everything was planted. */
  readonly script: string;
}

/** Places on a root where people lose things. */
const DOOMED_FOLDERS = ['', '/etc', '/root', '/var/lib', '/opt', '/srv'];

/** What to plant in a boot. */
export function planCanaries(scenario: Scenario, boot: number): CanaryPlan {
  const name = `${CANARY_NAME}-${String(boot)}`;
  const gone = scenario.promises.filter((promise) => promise.kind === 'gone').map(({ path }) => path);
  const keptPaths = scenario.promises.flatMap((promise) =>
    promise.kind === 'kept' && promise.of !== 'file' ? [promise.path] : [],
  );
  // A layout may keep /etc or /srv as a whole.
  const places = DOOMED_FOLDERS.filter((folder) => !keptPaths.some((path) => isAtOrBelow(folder, path)));
  const folders = [...new Set(gone.flatMap((path) => (path === '/' ? places : [path])))];
  const doomed = folders.map((folder) => `${folder}/${name}`);
  const kept = new Map(
    scenario.promises
      .filter((promise): promise is KeptPromise => promise.kind === 'kept' && promise.of !== 'file')
      .map(({ id, path }) => [id, `${path === '/' ? '' : path}/${name}`]),
  );
  const root = findRoot(promisedSystem(scenario).fileSystems);
  const script = [
    'set -eu',
    'umask 022',
    plantKeptFunction(),
    ...doomed.map((folder) => plantDoomed(folder, root?.fsType === 'btrfs' && folder === `/${name}`)),
    ...[...kept.values()].map((folder) => `plant_kept ${quote(folder)} ${quote(`${name} ${folder}`)}`),
    'sync',
  ].join('\n');
  return { boot, doomed, kept, script };
}

/** Every kind of thing whose deletion or survival is not a matter of course. */
function plantDoomed(folder: string, subvolumes: boolean): string {
  const dir = quote(folder);
  return [
    `mkdir -p ${dir}; cd ${dir}`,
    'mkdir -p tree/with/many/levels "a name with spaces" locked; echo leaf >tree/with/many/levels/leaf; echo plain >file; : >empty',
    `echo spaces >"a name with spaces/and more"; echo newline >$'a name\\nwith a newline'`,
    'ln file hard-link; ln -s file link; ln -s /nowhere dangling-link; echo read-only >locked/file; chmod 0444 locked/file; chmod 0555 locked',
    // Held open by a process that lives until the machine goes down.
    'echo held >held-open; sleep 100000 9<>held-open </dev/null >/dev/null 2>&1 & disown',
    ...(subvolumes
      ? [
          'for subvolume in one one/two one/two/three "sub volume"; do btrfs -q subvolume create "$subvolume"; echo inside >"$subvolume/file"; done',
          'echo immutable >immutable; chattr +i immutable',
        ]
      : []),
    'cd /',
  ].join('\n');
}

function plantKeptFunction(): string {
  return `plant_kept() {
  mkdir -p "$1"; cd "$1"
  mkdir -p "a folder/deeper"; echo "$2" >file; : >empty; echo spaces >"a folder/a name with spaces"; echo newline >$'a folder/a name\\nwith a newline'
  ln -s file link; ln file hard-link; setfattr -n user.imperm -v "$2" file
  chmod 0640 file; chmod 0400 empty; chmod 2750 "a folder/deeper"
  chown -h ${OWNER} file link "a folder" "a folder/deeper"; chmod 2750 "a folder/deeper"
  touch -h -d '${MTIME}' file empty link "a folder/a name with spaces" "a folder/deeper" "a folder"
  cd /
}`;
}
