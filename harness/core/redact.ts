/** Replaces known secrets in texts that are stored or shown. */
export class Redactor {
  readonly #secrets: string[] = [];
  readonly #patterns: RegExp[] = [];

  /** @param secret At least 6 characters, or it would mangle ordinary text. */
  add(secret: string): void {
    if (secret.length < 6) return;
    this.#secrets.push(secret);
    // The longest first: of a secret that contains another one, nothing may be left over.
    this.#secrets.sort((a, b) => b.length - a.length);
  }

  /** @param pattern Global: what comes before secrets that nobody can name, and those themselves. Its first group stays. */
  addPattern(pattern: RegExp): void {
    this.#patterns.push(pattern);
  }

  clean(text: string): string {
    const known = this.#secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, '********'), text);
    return this.#patterns.reduce((cleaned, pattern) => cleaned.replaceAll(pattern, '$1********'), known);
  }
}
