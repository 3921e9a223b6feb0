import os from 'node:os';
import path from 'node:path';

/** Everything imperm takes from the environment; the only file that reads `process.env`. */
export interface Environment {
  /** Set by CI servers: never ask, plain output. */
  readonly ci: boolean;
  readonly noColor: boolean;
  /** Content-addressed images and tools; large, safe to delete. `IMPERM_CACHE`, default `$XDG_CACHE_HOME/imperm`. */
  readonly cacheDir: string;
  /** Disks and sockets of running machines. `IMPERM_WORK`, default a folder of this user's in /var/tmp: on disk, short path. */
  readonly workDir: string;
  /** Store for `--guest nixos`, `IMPERM_NIX_STORE`: Nix of our own is then used, whatever the host has. Absent: the host's. */
  readonly nixStore: string | undefined;
  /** Debian mirror, `IMPERM_DEBIAN_MIRROR`; absent: the host's own, else mmdebstrap's default. */
  readonly debianMirror: string | undefined;
  /** Address of one more libvirt that the contract of targets is tried on, `IMPERM_TEST_LIBVIRT`. Absent: none. */
  readonly testLibvirt: string | undefined;
  /** Release of Debian whose QEMU, firmware and tools are taken, `IMPERM_TOOLS_SUITE`; absent: the one imperm is made with. */
  readonly toolsSuite: string | undefined;
  /** What kind of terminal programs are shown on, `TERM`; default `xterm-256color`. */
  readonly terminal: string;
  /** GitHub Actions understands annotations. */
  readonly githubActions: boolean;
  /** File whose Markdown GitHub Actions shows on the page of the run, `GITHUB_STEP_SUMMARY`. */
  readonly githubStepSummary: string | undefined;
}

/** Reads the environment once; pass the result on. */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): Environment {
  const home = os.homedir();
  const value = (name: string): string | undefined => {
    const text = env[name];
    return text === undefined || text === '' ? undefined : text;
  };
  return {
    ci: value('CI') !== undefined && value('CI') !== 'false' && value('CI') !== '0',
    noColor: value('NO_COLOR') !== undefined,
    cacheDir: path.resolve(
      value('IMPERM_CACHE') ?? path.join(value('XDG_CACHE_HOME') ?? path.join(home, '.cache'), 'imperm'),
    ),
    // /tmp is often in memory and XDG_RUNTIME_DIR always is: disks do not belong there. Unix socket paths end at 107 bytes.
    workDir: path.resolve(value('IMPERM_WORK') ?? `/var/tmp/imperm-${String(os.userInfo().uid)}`),
    nixStore: value('IMPERM_NIX_STORE'),
    debianMirror: value('IMPERM_DEBIAN_MIRROR'),
    testLibvirt: value('IMPERM_TEST_LIBVIRT'),
    toolsSuite: value('IMPERM_TOOLS_SUITE'),
    terminal: value('TERM') ?? 'xterm-256color',
    githubActions: value('GITHUB_ACTIONS') === 'true',
    githubStepSummary: value('GITHUB_STEP_SUMMARY'),
  };
}

/** The environment for host tools: the caller's, in English, with names and paths of ours taken out. */
export function toolEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C.UTF-8', ...extra };
}
