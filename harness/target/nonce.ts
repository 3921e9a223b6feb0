import { randomBytes } from 'node:crypto';

/** A name for one power-on. Always of the same length: a restored machine reads it in the place of the saved one. */
export function makeNonce(): string {
  return randomBytes(12).toString('hex');
}
