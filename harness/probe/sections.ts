import { HarnessError } from '../core/index.js';

/** A command whose output is wanted, and the name under which it is found in the result. */
export interface Section {
  readonly name: string;
  readonly command: string;
}

export interface SectionResult {
  readonly exitCode: number;
  readonly output: Buffer;
}

/**
 * A script that runs all commands in one go and frames the output of each: asking a slow machine once is much cheaper
 * than asking often.
 *
 * @param boundary A word that occurs in no output: made up for each script.
 */
export function renderSections(sections: readonly Section[], boundary: string): string {
  return [
    'export LC_ALL=C.UTF-8',
    `begin() { printf '\\n@@%s %s\\n' ${boundary} "$1"; }`,
    `end() { printf '\\n@@%s = %s\\n' ${boundary} "$1"; }`,
    ...sections.map(({ name, command }) => `begin ${name}; { ${command}\n} </dev/null; end $?`),
    'exit 0',
    '',
  ].join('\n');
}

/**
 * @throws {HarnessError} EVIDENCE_MISSING when a section did not come to its end.
 */
export function parseSections(
  output: Buffer,
  sections: readonly Section[],
  boundary: string,
): Map<string, SectionResult> {
  const mark = Buffer.from(`\n@@${boundary} `);
  const results = new Map<string, SectionResult>();
  let position = output.indexOf(mark);
  while (position >= 0) {
    const lineEnd = output.indexOf('\n', position + mark.length);
    if (lineEnd < 0) break;
    const name = output.subarray(position + mark.length, lineEnd).toString();
    const next = output.indexOf(mark, lineEnd);
    if (next < 0) break;
    const nextEnd = output.indexOf('\n', next + mark.length);
    // Without its newline an exit code may be the beginning of another one.
    if (nextEnd < 0) break;
    const ending = /^= (\d+)$/.exec(output.subarray(next + mark.length, nextEnd).toString());
    if (ending !== null) {
      results.set(name, { exitCode: Number(ending[1]), output: output.subarray(lineEnd + 1, next) });
    }
    position = ending === null ? next : output.indexOf(mark, nextEnd);
  }
  const missing = sections.find(({ name }) => !results.has(name));
  if (missing !== undefined) {
    throw new HarnessError('EVIDENCE_MISSING', `The machine did not deliver the evidence "${missing.name}"`, {
      details: output.subarray(-400).toString('utf8'),
    });
  }
  return results;
}
