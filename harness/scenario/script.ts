import type { Place } from '../core/index.js';

/** Text of a script that runs inside the machine under test, never on the host. */
export interface Script {
  /** The file that holds the text, as shown to a person; for an inline script the scenario file. */
  readonly file: string;
  readonly text: string;
  /** Where the scenario names the script. */
  readonly place: Place;
}
