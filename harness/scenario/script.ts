import type { Place } from '../core/index.js';

/** Text of a file that a scenario names: a script, which runs inside the machine under test and never on the host, say. */
export interface Script {
  /** The file that holds the text, as shown to a person; for an inline script the scenario file. */
  readonly file: string;
  readonly text: string;
  /** Where the scenario names the script. */
  readonly place: Place;
}
