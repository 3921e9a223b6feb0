import { formatPath } from './located.js';
import { isAtOrBelow } from './mount-tree.js';
import type { RuleContext } from './rule-context.js';
import type { SystemInput } from './schema.js';

const SYSTEM = 'system';

/** Files that NixOS makes from other options: two definitions of one file are refused. */
const MADE_BY_OPTIONS: Readonly<Record<string, string>> = {
  fstab: 'fileSystems',
  hostname: 'hostName',
  hosts: 'hostName',
  sudoers: 'sudo',
};

/** Checks what services and links say about the rest of the system: only what NixOS itself refuses. */
export function checkServices(system: SystemInput, context: RuleContext): void {
  checkEtc(system, context);
  checkScrub(system, context);
}

function checkEtc(system: SystemInput, context: RuleContext): void {
  const paths = Object.keys(system.etc);
  for (const path of paths) {
    const at = [SYSTEM, 'etc', path];
    const option = MADE_BY_OPTIONS[path];
    if (option !== undefined && (option !== 'sudo' || system.sudo.enable)) {
      context.reportKey(
        at,
        `${formatPath(at)} is a file that ${SYSTEM}.${option} makes; it cannot be a link, too`,
      );
    }
    const above = paths.find((other) => other !== path && isAtOrBelow(`/${path}`, `/${other}`));
    if (above !== undefined) {
      context.reportKey(
        at,
        `/etc/${path} cannot be made: ${formatPath([SYSTEM, 'etc', above])} makes /etc/${above} a link`,
      );
    }
  }
}

function checkScrub(system: SystemInput, context: RuleContext): void {
  const { enable, fileSystems } = system.autoScrub;
  if (!enable || !context.isWhole([SYSTEM, 'fileSystems'])) return;
  const hasBtrfs = Object.values(system.fileSystems).some(({ fsType }) => fsType === 'btrfs');
  if (fileSystems === undefined ? hasBtrfs : fileSystems.length > 0) return;
  context.report(
    [SYSTEM, 'autoScrub'],
    'system.autoScrub has nothing to scrub: no file system is btrfs, or its list is empty; NixOS refuses it',
  );
}
