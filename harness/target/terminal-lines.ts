import { StringDecoder } from 'node:string_decoder';

/** Everything below the space but the tab, and the control characters above ASCII. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g;

/**
 * Where in the language of terminals (ECMA-48) we are. `escape`: behind ESC; `sequence`: behind `ESC [`, up to its final
 * letter; `string`: text for the terminal, not for the screen (a window title), up to BEL or `ESC \`.
 */
type State = 'text' | 'escape' | 'sequence' | 'string' | 'string-escape';

/**
 * Lines of text from the bytes that are sent to a terminal, cut anywhere. Colours and other control sequences are left
 * out; a carriage return alone begins a line anew on a screen, and here a new line: nothing that was shown is lost.
 * A newline ends every sequence, so that a broken one costs no more than its line.
 */
export class TerminalLines {
  readonly #onLine: (text: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #state: State = 'text';
  #line = '';
  #returned = false;

  constructor(onLine: (text: string) => void) {
    this.#onLine = onLine;
  }

  /** Text behind the last newline: a prompt, say. */
  get unfinished(): string {
    return this.#line;
  }

  write(chunk: Buffer): void {
    this.#take(this.#decoder.write(chunk));
  }

  /** Nothing more will come: what was not ended by a newline is a line too. */
  end(): void {
    this.#take(this.#decoder.end());
    if (this.#line !== '') this.#endLine();
  }

  #take(text: string): void {
    for (let at = 0; at < text.length;) {
      if (this.#state === 'text') {
        CONTROL.lastIndex = at;
        const end = CONTROL.exec(text)?.index ?? text.length;
        if (end > at) this.#append(text.slice(at, end));
        at = end;
      }
      const character = text[at];
      if (character === undefined) return;
      if (this.#step(character)) at += 1;
    }
  }

  #append(text: string): void {
    if (this.#returned && this.#line !== '') this.#endLine();
    this.#returned = false;
    this.#line += text;
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = '';
    this.#returned = false;
    this.#onLine(line);
  }

  /** @returns False when the character ended a broken sequence and is still to be looked at as text. */
  #step(character: string): boolean {
    if (character === '\n') {
      this.#state = 'text';
      this.#endLine();
      return true;
    }
    switch (this.#state) {
      case 'text':
        if (character === '\u001b') this.#state = 'escape';
        if (character === '\r') this.#returned = true;
        return true;
      case 'escape':
        return this.#stepEscape(character);
      case 'sequence':
        if (character === '\r') this.#returned = true;
        if (character === '\u001b') this.#state = 'escape';
        else if (character >= '@') this.#state = 'text';
        return character <= '~';
      case 'string':
        if (character === '\u001b') this.#state = 'string-escape';
        else if ('\u0007\u0018\u001a\u009c'.includes(character)) this.#state = 'text';
        return true;
      case 'string-escape':
        if (character === '\\') this.#state = 'text';
        else return this.#stepEscape(character);
        return true;
    }
  }

  #stepEscape(character: string): boolean {
    if (character === '[') this.#state = 'sequence';
    else if (/[\]PX^_]/.test(character)) this.#state = 'string';
    // Up to `/` more of the same sequence follows, as in `ESC ( B`.
    else if (character === '\u001b' || (character >= ' ' && character <= '/')) this.#state = 'escape';
    else this.#state = 'text';
    return character >= ' ' && character <= '~' ? true : character === '\u001b';
  }
}
