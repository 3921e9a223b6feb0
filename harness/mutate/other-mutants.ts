import { misspell } from './misspell.js';
import type { Mutant, Original } from './mutant.js';

/** Mutants of users, host keys, links and rules of tmpfiles. */
export function mutateIdentity(original: Original): readonly Mutant[] {
  const { users, openssh, links, tmpfiles } = original.scenario.system;
  return [
    ...users.flatMap(({ name, hashedPasswordFile }) =>
      hashedPasswordFile === undefined
        ? []
        : mutateText(original, {
            what: `users/${name}/hashedPasswordFile`,
            at: ['system', 'users', name, 'hashedPasswordFile'],
            title: `the password of ${name}`,
            from: hashedPasswordFile,
            missing: `${name} has the password that lies in ${hashedPasswordFile}`,
            isOptional: true,
          }),
    ),
    ...openssh.hostKeys.flatMap(({ path }, index) =>
      mutateText(original, {
        what: `openssh/hostKeys:${path}`,
        at: ['system', 'openssh', 'hostKeys', index, 'path'],
        title: 'the SSH host key',
        from: path,
        missing: `the SSH host key is ${path}`,
        isOptional: false,
      }),
    ),
    ...links
      .filter(({ by }) => by === 'etc')
      .flatMap(({ path, source }) =>
        mutateText(original, {
          what: `etc${path.slice('/etc'.length)}`,
          at: ['system', 'etc', path.slice('/etc/'.length), 'source'],
          title: path,
          from: source,
          missing: `${path} is a link to ${source}`,
          isOptional: false,
        }),
      ),
    ...tmpfiles.map((rule, index): Mutant => {
      const at = ['system', 'tmpfiles', index];
      return {
        id: `tmpfiles:${rule.split(/\s+/).slice(0, 2).join(' ')}/drop`,
        title: `the rule \`${rule}\` of tmpfiles is gone`,
        missing: `there is what the rule \`${rule}\` makes`,
        place: original.source.placeAt(at),
        edits: [{ at, remove: true }],
      };
    }),
  ];
}

/** Mutants of LUKS devices and swap, and of where the system hibernates to. */
export function mutateDevices(original: Original): readonly Mutant[] {
  const { luks, swapDevices, resumeDevice } = original.scenario.system;
  return [
    ...luks.flatMap(({ name, device, place }): readonly Mutant[] => [
      {
        id: `luks/${name}/rename`,
        title: `what is unlocked is called ${misspell(name)}, not ${name}`,
        missing: `the LUKS device is called ${name}`,
        place,
        edits: [{ at: ['system', 'luks', name], rename: misspell(name) }],
      },
      ...mutateText(original, {
        what: `luks/${name}/device`,
        at: ['system', 'luks', name, 'device'],
        title: name,
        from: device,
        missing: `${name} lies on ${device}`,
        isOptional: false,
      }),
    ]),
    ...swapDevices.flatMap(({ randomEncryption, place }, index): readonly Mutant[] => {
      const at = ['system', 'swapDevices', index];
      const device = original.source.valueAt([...at, 'device']);
      if (typeof device !== 'string') return [];
      const what = `swapDevices:${device}`;
      const plain: Mutant = {
        id: `${what}/randomEncryption/drop`,
        title: `${device} is used as swap as it is, not encrypted`,
        missing: `what is swapped to ${device} is encrypted`,
        place,
        edits: [{ at: [...at, 'randomEncryption'], set: false }],
      };
      return [
        {
          id: `${what}/drop`,
          title: `${device} is no swap`,
          missing: `${device} is in use as swap`,
          place,
          edits: [{ at, remove: true }],
        },
        ...mutateText(original, {
          what,
          at: [...at, 'device'],
          title: 'swap',
          from: device,
          missing: `${device} is in use as swap`,
          isOptional: false,
        }),
        ...(randomEncryption ? [plain] : []),
      ];
    }),
    ...(resumeDevice === undefined
      ? []
      : mutateText(original, {
          what: 'resumeDevice',
          at: ['system', 'resumeDevice'],
          title: 'what a hibernated system is resumed from',
          from: resumeDevice,
          missing: `a hibernated system is resumed from ${resumeDevice}`,
          isOptional: true,
        })),
  ];
}

/** A text is misspelt, or gone. */
function mutateText(
  { source }: Original,
  text: {
    readonly what: string;
    readonly at: readonly (string | number)[];
    /** What it is the text of. */
    readonly title: string;
    readonly from: string;
    readonly missing: string;
    /** The layout can also do without. */
    readonly isOptional: boolean;
  },
): readonly Mutant[] {
  const { what, at, title, from, missing } = text;
  // A default: nobody has written anything that could be wrong.
  if (source.valueAt(at) === undefined) return [];
  const place = source.placeAt(at);
  const wrong: Mutant = {
    id: `${what}/misspell`,
    title: `${title} is at ${misspell(from)}, not ${from}`,
    missing,
    place,
    edits: [{ at, set: misspell(from) }],
  };
  const gone: Mutant = {
    id: `${what}/drop`,
    title: `${title} is nowhere: ${from} is not named`,
    missing,
    place,
    edits: [{ at, remove: true }],
  };
  return text.isOptional ? [gone, wrong] : [wrong];
}
