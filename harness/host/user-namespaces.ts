import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import type { Budget, runProgram } from '../core/index.js';
import type { DoctorCheck } from './doctor-check.js';

export interface UserNamespaceOptions {
  readonly isRoot: boolean;
  /** Where /proc and /etc lie. */
  readonly root: string;
  readonly run: typeof runProgram;
  readonly budget: Budget;
}

/** Kernel switches that forbid user namespaces: what each must not be, and the command that changes it. */
const SWITCHES = [
  {
    file: 'proc/sys/kernel/unprivileged_userns_clone',
    forbids: '0',
    cure: 'sudo sysctl -w kernel.unprivileged_userns_clone=1',
  },
  {
    file: 'proc/sys/user/max_user_namespaces',
    forbids: '0',
    cure: 'sudo sysctl -w user.max_user_namespaces=15000',
  },
  {
    file: 'proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    forbids: '1',
    cure: 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  },
];

/** Without root, Debian packages are unpacked in a user namespace with ids of its own. Tried, not only looked up. */
export async function checkUserNamespaces(options: UserNamespaceOptions): Promise<DoctorCheck> {
  const check = { id: 'user-namespaces', title: 'User namespaces' };
  if (options.isRoot) return { ...check, status: 'ok', found: 'not needed by root' };
  try {
    await options.run('unshare', ['--user', '--map-root-user', 'true'], { budget: options.budget });
  } catch {
    for (const { file, forbids, cure } of SWITCHES) {
      const value = (await readFile(path.join(options.root, file), 'utf8').catch(() => '')).trim();
      if (value !== forbids) continue;
      const name = file.replace('proc/sys/', '').replaceAll('/', '.');
      return { ...check, status: 'fail', found: `forbidden by ${name} = ${value}`, cure };
    }
    return {
      ...check,
      status: 'fail',
      found: 'forbidden here, by a container most likely',
      cure: 'Run imperm as root, or outside the container.',
    };
  }
  const lacking = [];
  for (const file of ['etc/subuid', 'etc/subgid']) {
    if (!(await hasOwnIds(path.join(options.root, file)))) lacking.push(`/${file}`);
  }
  if (lacking.length === 0) return { ...check, status: 'ok', found: 'allowed, with ids of their own' };
  return {
    ...check,
    status: 'fail',
    found: `this user has no ids in ${lacking.join(' and ')}`,
    cure: 'sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$USER"',
  };
}

/** Whether a line gives this user, by name or number, as many ids as a Debian tree uses. */
async function hasOwnIds(file: string): Promise<boolean> {
  const { username, uid } = os.userInfo();
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').some((line) => {
    const [owner, , count] = line.split(':');
    return (owner === username || owner === String(uid)) && Number(count) >= 65536;
  });
}
