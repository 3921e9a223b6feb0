import { createWriteStream, type WriteStream } from 'node:fs';

import { HarnessError } from '../core/index.js';

/** A file that is written to as things happen. A full disk shows when it is closed and never disturbs a run before. */
export class LogFile {
  readonly #file: string;
  readonly #stream: WriteStream;
  #error: Error | undefined;

  constructor(file: string) {
    this.#file = file;
    this.#stream = createWriteStream(file, { flags: 'a' });
    this.#stream.on('error', (error) => {
      this.#error ??= error;
    });
  }

  write(text: string): void {
    this.#stream.write(text);
  }

  /**
   * Settles when everything is in the file.
   *
   * @throws {HarnessError} HOST_UNFIT when something could not be written.
   */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#stream.once('close', resolve);
      this.#stream.end();
      if (this.#stream.closed) resolve();
    });
    if (this.#error === undefined) return;
    throw new HarnessError('HOST_UNFIT', `Could not write ${this.#file}: ${this.#error.message}`, {
      cause: this.#error,
    });
  }
}
