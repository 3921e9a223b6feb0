/** Replaces known secrets in texts that are stored or shown. */
export class Redactor {
  readonly #secrets: string[] = [];

  /** @param secret At least 6 characters, or it would mangle ordinary text. */
  add(secret: string): void {
    if (secret.length < 6) return;
    this.#secrets.push(secret);
    // The longest first: of a secret that contains another one, nothing may be left over.
    this.#secrets.sort((a, b) => b.length - a.length);
  }

  clean(text: string): string {
    return this.#secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, '********'), text);
  }
}
