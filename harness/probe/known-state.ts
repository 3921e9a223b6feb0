/** State that is found on many systems, whose it is, and how it is kept. */
export interface KnownState {
  readonly path: string;
  /** Package or unit. */
  readonly owner: string;
  readonly what: string;
  /**
   * What is declared: the directory, the single file (each in a directory of this kind), or each directory in it (homes). `never` is not kept by
   * declaring it; `instead` says what helps.
   */
  readonly keep: 'directory' | 'file' | 'each' | 'never';
  /** Mode of the directory, where it is not known from the system itself. */
  readonly mode?: string;
  readonly instead?: string;
}

function directory(path: string, owner: string, what: string, mode?: string): KnownState {
  return { path, owner, what, keep: 'directory', ...(mode === undefined ? {} : { mode }) };
}

function file(path: string, owner: string, what: string): KnownState {
  return { path, owner, what, keep: 'file' };
}

function never(path: string, owner: string, what: string, instead: string): KnownState {
  return { path, owner, what, keep: 'never', instead };
}

const ACCOUNTS = 'declare it: users.users.<name>, passwords through hashedPasswordFile';
const STORE = 'comes from the store at every boot; what is put here belongs into the configuration';

/**
 * The table. Units declare most of their directories themselves (StateDirectory= …) and those are read from the system;
 * here is what no unit declares, and what is better kept in another way than its unit declares it.
 */
export const KNOWN_STATE: readonly KnownState[] = [
  // Identity
  file('/etc/machine-id', 'systemd', 'the identity of the machine, by which journals are filed'),
  { path: '/etc/ssh', owner: 'sshd', what: 'host keys, by which others know the machine', keep: 'file' },
  directory('/var/lib/nixos', 'NixOS', 'the numbers of accounts: without them files change their owner'),
  never('/etc/passwd', 'NixOS accounts', 'accounts', ACCOUNTS),
  never('/etc/group', 'NixOS accounts', 'groups', ACCOUNTS),
  never('/etc/shadow', 'NixOS accounts', 'passwords', ACCOUNTS),
  never('/etc/gshadow', 'NixOS accounts', 'passwords of groups', ACCOUNTS),
  never('/etc/subuid', 'NixOS accounts', 'numbers for user namespaces', ACCOUNTS),
  never('/etc/subgid', 'NixOS accounts', 'numbers for user namespaces', ACCOUNTS),
  never('/etc/.pwd.lock', 'NixOS accounts', 'a lock', 'nothing: it is empty'),
  // systemd's own
  directory('/var/lib/systemd/coredump', 'systemd-coredump', 'dumps of crashed programs'),
  directory('/var/lib/systemd/timers', 'systemd timers', 'when persistent timers last ran'),
  directory('/var/lib/systemd/timesync', 'systemd-timesyncd', 'the last known time'),
  directory('/var/lib/systemd/rfkill', 'systemd-rfkill', 'which radios are switched off'),
  directory('/var/lib/systemd/backlight', 'systemd-backlight', 'brightness'),
  directory('/var/lib/systemd/linger', 'systemd-logind', 'users whose services run without a login'),
  directory('/var/lib/systemd/pstore', 'systemd-pstore', 'the last words of crashed kernels'),
  directory('/var/lib/systemd/network', 'systemd-networkd', 'leases'),
  file('/var/lib/systemd/random-seed', 'systemd-random-seed', 'the seed of the random generator'),
  file('/var/lib/systemd/credential.secret', 'systemd-creds', 'the key of encrypted credentials'),
  never('/var/lib/systemd/catalog', 'systemd-journald', 'made from the store', STORE),
  never(
    '/etc/.updated',
    'systemd-update-done',
    'a mark of the last update',
    'nothing: it is right on a new root',
  ),
  never(
    '/var/.updated',
    'systemd-update-done',
    'a mark of the last update',
    'nothing: it is right on a new root',
  ),
  file('/etc/adjtime', 'hwclock', 'how the hardware clock runs'),
  directory('/var/log', 'systemd-journald', 'journals and logs'),
  directory('/var/lib/machines', 'systemd-machined', 'containers', '0700'),
  directory('/var/lib/portables', 'systemd-portabled', 'portable services', '0700'),
  // Network
  directory('/etc/NetworkManager/system-connections', 'NetworkManager', 'networks and their keys', '0700'),
  directory('/var/lib/NetworkManager', 'NetworkManager', 'leases, seen networks, the secret key', '0700'),
  directory('/var/lib/bluetooth', 'bluetooth', 'paired devices', '0700'),
  directory('/var/lib/iwd', 'iwd', 'networks and their keys', '0700'),
  directory('/var/lib/tailscale', 'tailscaled', 'the identity in the network', '0700'),
  directory('/var/lib/dhcpcd', 'dhcpcd', 'leases'),
  never('/etc/resolv.conf', 'resolvconf', 'name servers', 'nothing: it is made when the network comes up'),
  // Containers and machines
  directory('/var/lib/docker', 'docker', 'images, volumes, containers', '0710'),
  directory('/var/lib/containers', 'podman', 'images, volumes, containers'),
  directory('/var/lib/incus', 'incus', 'instances and images', '0711'),
  directory('/var/lib/lxd', 'lxd', 'instances and images', '0711'),
  directory('/var/lib/libvirt', 'libvirtd', 'machines and networks'),
  directory('/var/lib/nixos-containers', 'NixOS containers', 'containers', '0700'),
  directory('/etc/nixos-containers', 'NixOS containers', 'containers'),
  // Services of desktops and servers
  directory('/var/lib/flatpak', 'flatpak', 'programs'),
  directory('/var/lib/fprint', 'fprintd', 'finger prints', '0700'),
  directory('/var/lib/cups', 'cups', 'printers'),
  directory('/var/lib/colord', 'colord', 'colour profiles'),
  directory('/var/lib/upower', 'upower', 'history of batteries'),
  directory('/var/lib/AccountsService', 'AccountsService', 'pictures and languages of users'),
  directory('/var/lib/alsa', 'alsa', 'volumes'),
  directory('/var/lib/acme', 'acme', 'certificates'),
  directory('/var/lib/postgresql', 'postgresql', 'data', '0750'),
  directory('/var/lib/mysql', 'mysql', 'data', '0700'),
  directory('/var/lib/sbctl', 'sbctl', 'secure boot keys', '0700'),
  directory('/var/lib/sops-nix', 'sops-nix', 'keys', '0700'),
  directory('/var/lib/fwupd', 'fwupd', 'history of firmware updates'),
  directory('/var/lib/lastlog', 'logins', 'last logins'),
  directory('/var/db/sudo', 'sudo', 'who has been lectured', '0700'),
  directory('/etc/nixos', 'NixOS', 'the configuration'),
  file('/var/lib/logrotate.status', 'logrotate', 'when logs were rotated'),
  // People
  directory('/root', "root's home", 'what root keeps', '0700'),
  { path: '/home', owner: 'homes', what: 'what users keep', keep: 'each' },
  directory('/srv', 'data', 'data of services'),
  // Nobody's
  never('/usr', 'store', 'programs', STORE),
  never('/bin', 'store', 'programs', STORE),
  never('/lib', 'store', 'programs', STORE),
  never('/lib64', 'store', 'programs', STORE),
  never('/nix', 'Nix', 'store and its database', 'mount all of /nix from a file system that is kept'),
];

/** Directories of many owners: none of them is declared as a whole, and who owns one does not own all below it. */
const SHARED = new Set([
  '/',
  '/boot',
  '/etc',
  '/home',
  '/mnt',
  '/nix',
  '/opt',
  '/tmp',
  '/usr',
  '/var',
  '/var/cache',
  '/var/db',
  '/var/lib',
  '/var/lib/private',
  '/var/lib/systemd',
  '/var/log',
  '/var/spool',
  '/var/tmp',
]);

/** @param path Of a directory. */
export function isShared(path: string): boolean {
  return SHARED.has(path);
}
