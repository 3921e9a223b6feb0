import { quote } from '../../core/index.js';

/** A file that persists. */
export interface PersistedFile {
  readonly path: string;
  /** The same file in the persistent store. */
  readonly source: string;
  /** Whoever writes it. */
  readonly user: string;
}

/** What a scenario says of files that an empty machine does not have: they are written in the first boot. */
export interface FileRules {
  readonly steps: readonly unknown[];
  readonly checks: readonly unknown[];
  readonly without: Readonly<Record<string, string>>;
}

/** Made by systemd and by the SSH server, without anybody's doing. */
const MADE_BY_ITSELF = /^\/etc\/(machine-id|ssh\/ssh_host_(ed25519|rsa)_key(\.pub)?)$/;
const REASON = 'an empty machine does not have it; persisted-files looks at what is written to it';

/**
 * Makes rules for persisted files. Their owner has them already, the empty machine has not: as long as nobody has written
 * them there is nothing that could be kept.
 *
 * @param known Files that are made by somebody else: the server's host keys, by their paths.
 */
export function renderFileRules(files: readonly PersistedFile[], known: readonly string[]): FileRules {
  const made = new Set(known.flatMap((path) => [path, `${path}.pub`]));
  const missing = files.filter(({ path }) => !MADE_BY_ITSELF.test(path) && !made.has(path));
  if (missing.length === 0) return { steps: [], checks: [], without: {} };
  const write = [
    '# Whoever a persisted file belongs to writes a line where there is nothing yet. Whether it worked shows in the next boot.',
    ...missing.map(({ path, user }) => {
      const file = quote(path);
      const line =
        user === 'root' ? `echo >>${file}` : `runuser -u ${quote(user)} -- sh -c 'echo >>"$1"' sh ${file}`;
      return `[ -s ${file} ] || ${line}`;
    }),
    'exit 0',
    '',
  ].join('\n');
  const look = [
    'status=0',
    'look() {',
    '  [ -s "$1" ] || { echo "$1 does not exist, or is empty: what was written to it in an earlier boot is gone"; status=1; return; }',
    '  [ "$1" -ef "$2" ] || { echo "$1 is another file than $2"; status=1; }',
    '}',
    ...missing.map(({ path, source }) => `look ${quote(path)} ${quote(source)}`),
    'exit "$status"',
    '',
  ].join('\n');
  return {
    steps: ['boot', { run: { text: write } }, 'reboot', 'power-cut', 'power-off'],
    checks: [
      {
        name: 'persisted-files',
        title: 'what is written to persisted files is there in the next boot, in the persistent store',
        script: { text: look },
        fromBoot: 2,
      },
    ],
    without: Object.fromEntries(missing.map(({ path }) => [`kept:${path}`, REASON])),
  };
}
