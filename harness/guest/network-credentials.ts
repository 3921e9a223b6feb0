import type { HardwareNetwork } from '../scenario/index.js';

/** What a real machine is told by its boot entry, as a virtual one is by its firmware. */
export interface NetworkIdentity {
  /** Private key, OpenSSH's format: by it the machine proves which one it is. */
  readonly hostPrivate: string;
  /** `ssh-ed25519 AAAA…` of whoever is let in. */
  readonly clientPublic: string;
  /** Read back from it. Absent: it is an installer. */
  readonly nonce?: string;
  readonly port: number;
  /** Absent: DHCP. */
  readonly network?: HardwareNetwork;
}

/**
 * The kernel shows its command line to whoever reads its log or its console: that of the system under test, and that of an
 * installer whose key only its image knows. Cut off or not, the key follows the first group.
 */
export const HOST_KEY_PARAMETER = /(imperm\.host-key:)[A-Za-z0-9+/=]+/g;

/**
 * Kernel parameters that hand a machine its SSH server and its network as systemd credentials.
 */
export function renderNetworkParameters(identity: NetworkIdentity): string[] {
  const credentials = {
    'host-key': identity.hostPrivate,
    'authorized-keys': `${identity.clientPublic}\n`,
    ...(identity.nonce === undefined ? {} : { nonce: identity.nonce }),
    port: String(identity.port),
    network: renderNetwork(identity.network),
  };
  return Object.entries(credentials).map(
    ([name, value]) => `systemd.set_credential_binary=imperm.${name}:${encodeCredential(value)}`,
  );
}

function encodeCredential(value: string): string {
  return Buffer.from(value).toString('base64');
}

/**
 * For every cable there is. The machine id is another one at every boot, and must not be what DHCP knows it by. The address
 * stays until the very end of a shutdown: whoever is connected learns that the machine goes.
 */
function renderNetwork(network: HardwareNetwork | undefined): string {
  const own =
    network === undefined
      ? ['DHCP=yes', 'KeepConfiguration=dhcp-on-stop', '[DHCPv4]', 'ClientIdentifier=mac', 'SendRelease=no']
      : [
          `Address=${network.address}`,
          ...(network.gateway === undefined ? [] : [`Gateway=${network.gateway}`]),
        ];
  return ['[Match]', 'Kind=!*', 'Type=ether', '[Network]', ...own, ''].join('\n');
}
