import { Redactor } from '../../core/index.js';
import { HOST_KEY_PARAMETER } from '../../guest/index.js';

/** A private key in PEM, with line feeds as they are or as JSON writes them. The words before it stay. */
const PRIVATE_KEY = /(-----BEGIN [A-Z ]*PRIVATE KEY-----)(?:(?!-----END)[\s\S])+/g;
/** What is left of one when it was taken out. */
const KEY_LEFT = /-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\\r|\\n|\s)*[A-Za-z0-9+/=]{16}/;
/** Shorter, an encoded part would be found where it is not. */
const LEAST_PART = 12;

/** Takes known secrets out of texts, and finds them again in whatever was to be free of them. */
export class SecretScan {
  readonly #redactor = new Redactor();
  readonly #forms: readonly { readonly how: string; readonly bytes: Buffer }[];

  /** @param secrets That are known. Private keys and host keys of machines are known by their form. */
  constructor(secrets: readonly string[]) {
    for (const secret of secrets) this.#redactor.add(secret);
    this.#redactor.addPattern(PRIVATE_KEY);
    this.#redactor.addPattern(HOST_KEY_PARAMETER);
    this.#forms = secrets.flatMap(listForms);
  }

  clean(text: string): string {
    return this.#redactor.clean(text);
  }

  /**
   * What a file still tells, in any of the forms in which programs write such things down.
   *
   * @returns As "a known secret, in base64"; undefined when nothing was found.
   */
  find(content: Buffer): string | undefined {
    const form = this.#forms.find(({ bytes }) => content.includes(bytes));
    if (form !== undefined) return `a known secret${form.how}`;
    return KEY_LEFT.test(content.toString('latin1')) ? 'a private key' : undefined;
  }
}

function listForms(secret: string): { how: string; bytes: Buffer }[] {
  const plain = Buffer.from(secret);
  const hex = plain.toString('hex');
  // Within a longer text it begins at any of three places, and its ends mix with what stands beside it.
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), plain])
      .toString('base64')
      .replaceAll('=', '');
    return text.slice(Math.ceil((shift * 4) / 3), -1);
  });
  const percent = encodeURIComponent(secret);
  return [
    { how: '', text: secret },
    { how: ', in hexadecimal', text: hex },
    { how: ', in hexadecimal', text: hex.toUpperCase() },
    { how: ', in UTF-16', text: '' },
    ...base64.map((text) => ({ how: ', in base64', text })),
    { how: ', percent-encoded', text: percent },
  ].flatMap(({ how, text }) => {
    if (how === ', in UTF-16') return [{ how, bytes: Buffer.from(secret, 'utf16le') }];
    return text.length < LEAST_PART ? [] : [{ how, bytes: Buffer.from(text) }];
  });
}
