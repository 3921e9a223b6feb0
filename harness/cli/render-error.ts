import { formatPlace, type HarnessError } from '../core/index.js';

/** An error as a person reads it: what, where, the facts, the next step. */
export function renderError(error: HarnessError): string {
  const place = error.place === undefined ? '' : `${formatPlace(error.place)}: `;
  return [
    `imperm: ${place}${error.message} [${error.code}]`,
    ...(error.details === undefined ? [] : error.details.split('\n').map((line) => `  ${line}`)),
    ...(error.hint === undefined ? [] : [error.hint]),
    '',
  ].join('\n');
}
