import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { MachineSpec } from './machine-spec.js';
import type { MachineKeys } from './shell.js';

/** One private file per string that the firmware hands to the machine: credentials for systemd, kernel arguments. */
export async function writeFirmwareStrings(
  dir: string,
  spec: MachineSpec,
  keys: MachineKeys,
): Promise<string[]> {
  const credentials = {
    'imperm.host-key': keys.hostPrivate,
    'imperm.authorized-keys': `${keys.clientPublic}\n`,
    'imperm.nonce': spec.nonce,
    ...spec.credentials,
  };
  const strings = Object.entries(credentials).map(
    ([name, value]) => `io.systemd.credential.binary:${name}=${Buffer.from(value).toString('base64')}`,
  );
  if (spec.extraCommandLine !== undefined)
    strings.push(`io.systemd.boot.kernel-cmdline-extra=${spec.extraCommandLine}`);
  return Promise.all(
    strings.map(async (text, index) => {
      const file = path.join(dir, `firmware-string-${String(index)}`);
      await writeFile(file, text, { mode: 0o600 });
      return file;
    }),
  );
}
