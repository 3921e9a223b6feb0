import type { VNode } from 'preact';

import { isAsDeclared, type VariantRecord } from '../../record/index.js';
import { describeHistory } from '../history.js';
import { VERDICT_LABEL } from '../paint.js';
import { makePrintable } from '../text.js';

/** What earlier runs say about a variant that is not as declared. */
export function HistoryPart({ variant }: { readonly variant: VariantRecord }): VNode | null {
  const lines = describeHistory(variant);
  if (lines.length === 0) return null;
  return (
    <section class="history">
      <h3>Earlier runs</h3>
      <p>
        {[...(variant.history?.verdicts ?? []), variant.verdict].map((verdict) => (
          <span class={`verdict verdict-${verdict}`} title={VERDICT_LABEL[verdict].toLowerCase()}>
            {isAsDeclared(verdict) ? '●' : '✗'}
          </span>
        ))}
      </p>
      <ul>
        {lines.map((line) => (
          <li>{makePrintable(line)}</li>
        ))}
      </ul>
    </section>
  );
}
