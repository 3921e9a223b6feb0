import { styleText } from 'node:util';

import type { Verdict } from '../record/index.js';

type Format = Parameters<typeof styleText>[0];

/** Colours a text, or leaves it alone. Text is always measured and cut before it is painted. */
export type Paint = (format: Format, text: string) => string;

/**
 * @param color Decided by the caller, once: newer Node versions would otherwise look at stdout for themselves,
 * which is wrong for a file and for stderr.
 */
export function createPaint(color: boolean): Paint {
  return (format, text) => (color && text !== '' ? styleText(format, text, { validateStream: false }) : text);
}

/** How a verdict is written. A failure stands out without colour too. */
export const VERDICT_LABEL: Readonly<Record<Verdict, string>> = {
  pass: 'pass',
  fail: 'FAIL',
  error: 'ERROR',
  flaky: 'FLAKY',
  skip: 'skip',
  'known-bug': 'known bug',
};

export const VERDICT_FORMAT: Readonly<Record<Verdict, Format>> = {
  pass: 'green',
  fail: ['bold', 'red'],
  error: ['bold', 'magenta'],
  flaky: ['bold', 'yellow'],
  skip: 'yellow',
  'known-bug': 'yellow',
};
