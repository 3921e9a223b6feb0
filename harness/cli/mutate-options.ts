import type { HostOptions } from './options.js';

export interface MutateOptions extends HostOptions {
  /** `axis=value`, several times. */
  readonly variant?: readonly string[];
  /** Show the mutants, and run none. */
  readonly list: boolean;
  /** Patterns of ids; absent: every mutant. */
  readonly only?: readonly string[];
  /** Names of the only scenarios that survivors are put through, in this order; absent: all there are. */
  readonly trial?: readonly string[];
  /** What a lint finds needs no machine. */
  readonly lints: boolean;
  /** How often the layout is run as it is. */
  readonly controls: string;
  readonly jobs?: string;
  readonly reports: string;
  /** Results to go on with. */
  readonly resume?: string;
  readonly verbose: boolean;
}
