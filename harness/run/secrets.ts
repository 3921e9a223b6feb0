import { randomBytes } from 'node:crypto';

import type { Redactor } from '../core/index.js';

/** Made up for one variant. */
export interface Secrets {
  /** Opens the LUKS devices when it is typed. */
  readonly passphrase: string;
  /** Opens them too where they are unlocked by a key file: its content. */
  readonly luksKey: string;
  /** Of the accounts that have one. */
  readonly password: string;
}

/** Makes them up, and sees to it that nothing that is stored or shown holds one of them. */
export function makeSecrets(redactor: Redactor): Secrets {
  const secrets = {
    passphrase: randomBytes(15).toString('hex'),
    luksKey: randomBytes(64).toString('base64'),
    password: randomBytes(15).toString('hex'),
  };
  for (const secret of Object.values(secrets)) redactor.add(secret);
  return secrets;
}
