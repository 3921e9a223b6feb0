import type { Persistence } from '../scenario/index.js';
import { misspell } from './misspell.js';
import type { Mutant, Original } from './mutant.js';

/** What somebody would write by mistake. */
const OTHER = { user: 'nobody', group: 'nogroup', mode: '0777' } as const;

/** Mutants of `environment.persistence`. */
export function mutatePersistence(original: Original): readonly Mutant[] {
  return original.scenario.system.persistence.flatMap((each) => [
    ...mutateRoot(each),
    ...each.directories.flatMap(({ path }, index) =>
      mutateItem(original, each, { path, index, list: 'directories', key: 'directory' }),
    ),
    ...each.directories.flatMap((_, index) => mutateOwnership(original, each, index)),
    ...each.files.flatMap(({ path }, index) =>
      mutateItem(original, each, { path, index, list: 'files', key: 'file' }),
    ),
    ...each.files.flatMap(({ path, method }, index): readonly Mutant[] => {
      const at = ['system', 'persistence', each.root, 'files', index];
      if (method !== 'auto') return [];
      return [
        {
          id: `persistence/${each.root}/files:${path}/symlink`,
          title: `${path} is a symbolic link to the persistent store, and no bind mount`,
          missing: `${path} is bound, and not linked`,
          place: original.source.placeAt(at),
          edits: [{ at, set: { file: path, method: 'symlink' } }],
          ...(path === '/etc/machine-id'
            ? { equivalent: 'systemd reads the machine id through a link, too (bugs/machine-id-symlink)' }
            : {}),
        },
      ];
    }),
  ]);
}

function mutateRoot({ root, place }: Persistence): readonly Mutant[] {
  return [
    {
      id: `persistence/${root}/misspell`,
      title: `what is persisted lies below ${misspell(root)}, not ${root}`,
      missing: `what is persisted lies below ${root}`,
      place,
      edits: [{ at: ['system', 'persistence', root], rename: misspell(root) }],
    },
  ];
}

function mutateItem(
  { source }: Original,
  { root }: Persistence,
  item: {
    readonly path: string;
    readonly index: number;
    readonly list: 'directories' | 'files';
    readonly key: 'directory' | 'file';
  },
): readonly Mutant[] {
  const at = ['system', 'persistence', root, item.list, item.index];
  const what = `persistence/${root}/${item.list}:${item.path}`;
  const wrong = misspell(item.path);
  const missing = `${item.path} is kept`;
  const isPlain = typeof source.valueAt(at) === 'string';
  return [
    {
      id: `${what}/drop`,
      title: `${item.path} is not persisted`,
      missing,
      place: source.placeAt(at),
      edits: [{ at, remove: true }],
    },
    {
      id: `${what}/misspell`,
      title: `${wrong} is persisted, and not ${item.path}`,
      missing,
      place: source.placeAt(at),
      edits: [{ at: isPlain ? at : [...at, item.key], set: wrong }],
    },
  ];
}

/** Only where the scenario says whose a directory is: elsewhere there is nothing that could be wrong. */
function mutateOwnership(
  { source }: Original,
  { root, directories }: Persistence,
  index: number,
): readonly Mutant[] {
  const path = directories[index]?.path ?? '';
  return (['user', 'group', 'mode'] as const).flatMap((key) => {
    const at = ['system', 'persistence', root, 'directories', index, key];
    const stated = source.valueAt(at);
    if (typeof stated !== 'string') return [];
    return [
      {
        id: `persistence/${root}/directories:${path}/${key}`,
        title: `${path} has the ${key} ${OTHER[key]}, not ${stated}`,
        missing: `${path} has the ${key} ${stated}`,
        place: source.placeAt(at),
        edits: [{ at, set: OTHER[key] }],
      },
    ];
  });
}
