import { styleText } from 'node:util';

import { EXIT } from '../core/index.js';

/** One thing that was looked at on this host. */
export interface DoctorCheck {
  /** Stable kebab-case name. */
  readonly id: string;
  readonly title: string;
  /** `fail`: no run is possible. `warn`: a run is possible, and slower or with less. */
  readonly status: 'ok' | 'warn' | 'fail';
  /** The facts, in one line. */
  readonly found: string;
  /** What to do about it; commands in lines of their own. */
  readonly cure?: string;
}

const LABEL = { ok: 'ok', warn: 'note', fail: 'FAIL' } as const;
const FORMAT = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

/**
 * The checks as a table, each lack with its cure, and a closing sentence.
 *
 * @param options.color Whether control sequences may be used.
 */
export function renderDoctor(checks: readonly DoctorCheck[], options: { readonly color: boolean }): string {
  const titleWidth = Math.max(...checks.map(({ title }) => title.length), 0);
  const lines = checks.flatMap(({ title, status, found, cure }) => {
    const label = LABEL[status].padEnd(4);
    const painted = options.color ? styleText(FORMAT[status], label, { validateStream: false }) : label;
    const indent = ' '.repeat(4 + 2 + titleWidth + 2);
    return [
      `${painted}  ${title.padEnd(titleWidth)}  ${found}`.trimEnd(),
      ...(cure === undefined
        ? []
        : cure.split('\n').map((line, i) => `${indent}${i === 0 ? '→ ' : '  '}${line}`)),
    ];
  });
  const failed = checks.filter(({ status }) => status === 'fail').map(({ title }) => title);
  const end =
    failed.length === 0
      ? 'This host can run scenarios.'
      : `This host cannot run scenarios yet: ${failed.join(', ')}.`;
  return [...lines, '', end].join('\n');
}

/** 69 when a run is impossible, else 0. */
export function doctorExitCode(checks: readonly DoctorCheck[]): number {
  return checks.some(({ status }) => status === 'fail') ? EXIT.unavailable : EXIT.ok;
}
