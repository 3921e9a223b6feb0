import { quote } from '../core/index.js';
import type { Scenario } from '../scenario/index.js';
import type { Collection } from './collect.js';
import type { SessionEvidence } from './finding.js';
import { parseSections, renderSections, type Section } from './sections.js';

/** The scenario's own checks, in one script. @returns Undefined when there is none for this boot. */
export function collectChecks(
  scenario: Scenario,
  boot: number,
  boundary: string,
): Collection<SessionEvidence['scripts']> | undefined {
  const due = scenario.promises.flatMap((promise) =>
    promise.kind === 'check' && boot >= promise.fromBoot ? [promise] : [],
  );
  if (due.length === 0) return undefined;
  const sections = due.map(({ id, script }): Section => ({
    name: id,
    command: `${renderScript(script.text, boot)} 2>&1`,
  }));
  return {
    script: renderSections(sections, boundary),
    parse: (output) =>
      new Map(
        [...parseSections(output, sections, boundary)].map(([id, result]) => [
          id,
          { exitCode: result.exitCode, output: result.output.toString('utf8') },
        ]),
      ),
  };
}

/** A command that runs a script of the scenario by its own first line, or by bash. */
export function renderScript(text: string, boot: number): string {
  const program = text.startsWith('#!') ? text : `#!/bin/bash\n${text}`;
  return `( program=$(mktemp /run/imperm-script.XXXXXX) && printf %s ${quote(program)} >"$program" && chmod 0700 "$program" && cd / && BOOT=${String(boot)} "$program"; code=$?; rm -f "$program"; exit "$code" )`;
}
