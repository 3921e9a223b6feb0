import { randomBytes } from 'node:crypto';

/** A word that no output contains by chance. */
export function makeBoundary(): string {
  return `imperm-${randomBytes(9).toString('hex')}`;
}
