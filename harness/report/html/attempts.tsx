import type { VNode } from 'preact';

import { attemptsOf, type VariantRecord } from '../../record/index.js';
import { digestPromises } from '../digest.js';
import { VERDICT_LABEL } from '../paint.js';
import { formatDuration } from '../words.js';

/** The attempts at a variant that was run again; what stands below it is of the one that decides. */
export function Attempts({ variant }: { readonly variant: VariantRecord }): VNode | null {
  if (variant.otherAttempts === undefined) return null;
  return (
    <section class="attempts">
      <h3>Attempts</h3>
      <ol>
        {attemptsOf(variant).map(({ attempt, verdict, checks, error, durationMs, folder }) => {
          const against = digestPromises(checks).filter(({ outcome }) => outcome !== 'kept');
          return (
            <li>
              <span class={`verdict verdict-${verdict}`}>{VERDICT_LABEL[verdict].toLowerCase()}</span>{' '}
              {[error?.code, ...against.map(({ id }) => id)].filter((part) => part !== undefined).join(', ')}{' '}
              {formatDuration(durationMs)} <a href={encodeURI(`${folder}/`)}>evidence</a>
              {attempt === variant.attempt ? ', shown here' : ''}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
