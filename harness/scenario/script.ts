import type { Place } from '../core/index.js';

/** Text of a file that a scenario names: a script, which runs inside the machine under test and never on the host, say. */
export interface Script {
  /** The file that holds the text, as shown to a person; for an inline script the scenario file. */
  readonly file: string;
  readonly text: string;
  /** Where the scenario names the script. */
  readonly place: Place;
}

/** What a person finds it by: its file, or its line in the scenario file that holds it. */
export function nameOfScript({ file, place }: Script): string {
  return file === place.file ? `${file}:${String(place.line)}` : file;
}
