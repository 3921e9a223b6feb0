/** A place in a file that a person can jump to. `line` and `col` count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly col: number;
}

/** `file:line:col`, the form editors and terminals make clickable. */
export function formatPlace(place: Place): string {
  return `${place.file}:${String(place.line)}:${String(place.col)}`;
}

/** What the process exits with; the only numbers imperm ever exits with. */
export const EXIT = {
  /** Everything was as declared. */
  ok: 0,
  /** At least one layout broke a promise. */
  layoutFailed: 1,
  /** A scenario or the command line is wrong. */
  usage: 2,
  /** The host or the machine could not run it: nothing is said about the layout. */
  unavailable: 69,
  /** Stopped by a signal. */
  interrupted: 130,
} as const;

/** Stable codes; a person can search for them. */
export type ErrorCode =
  | 'USAGE'
  | 'SCENARIO_INVALID'
  | 'HOST_UNFIT'
  | 'TOOL_FAILED'
  | 'IMAGE_BUILD_FAILED'
  | 'NIX_FAILED'
  | 'SYSTEM_REFUSED'
  | 'MACHINE_DIED'
  | 'MACHINE_UNREACHABLE'
  | 'WRONG_MACHINE'
  | 'CONSOLE_FAILURE'
  | 'TIMEOUT'
  | 'INSTALL_FAILED'
  | 'STEP_FAILED'
  | 'GUEST_COMMAND_FAILED'
  | 'EVIDENCE_MISSING'
  | 'SECRET_FOUND'
  | 'INTERRUPTED'
  | 'INTERNAL';

export interface HarnessErrorOptions {
  /** What a person can do next, as one or more full sentences. */
  readonly hint?: string;
  readonly place?: Place;
  /** Text to show below the message: a console tail, a tool's output. Already free of secrets. */
  readonly details?: string;
  readonly cause?: unknown;
}

/**
 * The scenario, the host or the harness is wrong. A layout that breaks its promises is never thrown:
 * it is a check with a result.
 */
export class HarnessError extends Error {
  override readonly name = 'HarnessError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly place: Place | undefined;
  readonly details: string | undefined;

  constructor(code: ErrorCode, message: string, options: HarnessErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.place = options.place;
    this.details = options.details;
  }

  /** The exit code of a command that ends with this error. */
  get exitCode(): number {
    switch (this.code) {
      case 'USAGE':
      case 'SCENARIO_INVALID':
        return EXIT.usage;
      case 'INTERRUPTED':
        return EXIT.interrupted;
      default:
        return EXIT.unavailable;
    }
  }
}

/** Anything that was thrown, as a HarnessError. What is not one already is a bug of ours. */
export function asHarnessError(thrown: unknown): HarnessError {
  if (thrown instanceof HarnessError) return thrown;
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return new HarnessError('INTERNAL', `Internal error: ${text}`, {
    hint: 'This is a bug in imperm, not in your layout. Please report it with this text.',
    cause: thrown,
  });
}
