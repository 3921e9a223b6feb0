import type { VNode } from 'preact';

import type { CheckRecord, VariantRecord } from '../../record/index.js';
import { digestPromises, momentOf, type PromiseOutcome } from '../digest.js';
import { makePrintable } from '../text.js';

interface PromiseProps {
  readonly promise: PromiseOutcome;
  /** Folder of the variant's evidence, from the page. */
  readonly folder: string;
}

/** Every promise of a variant: what was broken in full, what was kept folded up with its proofs. */
export function PromiseList({ variant }: { readonly variant: VariantRecord }): VNode | null {
  const promises = digestPromises(variant.checks);
  const kept = promises.filter(({ outcome }) => outcome === 'kept');
  const against = promises.filter(({ outcome }) => outcome !== 'kept');
  if (promises.length === 0) return null;
  return (
    <section class="promises">
      {against.length === 0 ? null : <h3>Promises that were not kept</h3>}
      {against.map((promise) => (
        <Against promise={promise} folder={variant.folder} />
      ))}
      {kept.length === 0 ? null : (
        <details>
          <summary>
            {kept.length} {kept.length === 1 ? 'promise' : 'promises'} kept, with the proofs
          </summary>
          <dl class="kept">
            {kept.flatMap(({ id, title, looks }) => [
              <dt>
                {title} <code>{id}</code>
              </dt>,
              ...looks.map((look) => (
                <dd>
                  <i>{momentOf(look)}</i> {makePrintable(look.found)}
                </dd>
              )),
            ])}
          </dl>
        </details>
      )}
    </section>
  );
}

function Against({ promise, folder }: PromiseProps): VNode | null {
  const check = promise.against;
  if (check === undefined) return null;
  const { title, id, place, expected, found, cause, evidence, files } = check;
  return (
    <div class="against">
      <h4>
        {makePrintable(title)} <code>{id}</code>
      </h4>
      <p class="looks">
        {promise.looks.map((look) => (
          <span class={`mark mark-${look.status}`}>{momentOf(look)}</span>
        ))}
      </p>
      <dl>
        <Entry label="promised at" text={place === undefined ? undefined : placeOf(place)} />
        <Entry label="expected" text={expected} />
        <Entry label="found" text={found} />
        <Entry label="likely why" text={cause} />
      </dl>
      {evidence === undefined || evidence.length === 0 ? null : (
        <pre class="quote">{makePrintable(evidence.join('\n'))}</pre>
      )}
      {files === undefined || files.length === 0 ? null : (
        <p class="files">
          {files.map((file) => (
            <a href={encodeURI(`${folder}/${file}`)}>{file}</a>
          ))}
        </p>
      )}
    </div>
  );
}

function Entry({ label, text }: { readonly label: string; readonly text: string | undefined }): VNode | null {
  if (text === undefined) return null;
  return (
    <>
      <dt>{label}</dt>
      <dd>{makePrintable(text)}</dd>
    </>
  );
}

/** `scenario.yaml:12:3` */
export function placeOf({ file, line, col }: NonNullable<CheckRecord['place']>): string {
  return `${file}:${String(line)}:${String(col)}`;
}
