import { EXIT, HarnessError } from '../core/index.js';
import { lintFile, LINTS } from '../lint/index.js';
import { findScenarios, loadScenarios } from '../scenario/index.js';
import {
  type Judged,
  judgeFindings,
  renderJudged,
  renderLintList,
  renderLintSummary,
} from './render-lints.js';
import { findScenario, SCENARIOS_DIR } from './select.js';

export interface CheckOptions {
  readonly all: boolean;
  /** Show the lints, and check nothing. */
  readonly list: boolean;
}

/**
 * Looks for known faults in scenario files. Nothing of them is run.
 *
 * @param names Names below scenarios/, or files.
 * @returns The exit code: 1 when a lint fires that is neither declared nor excepted.
 * @throws {HarnessError} USAGE for a name that is neither a scenario nor a file, and for no name at all; SCENARIO_INVALID.
 */
export async function check(names: readonly string[], { all, list }: CheckOptions): Promise<number> {
  const width = process.stdout.columns || 100;
  if (list) {
    if (all || names.length > 0)
      throw new HarnessError('USAGE', '--list shows all lints; it takes no scenarios and no --all');
    process.stdout.write(renderLintList(LINTS, width));
    return EXIT.ok;
  }
  if (all && names.length > 0) throw new HarnessError('USAGE', 'Names and --all cannot be together');
  if (!all && names.length === 0)
    throw new HarnessError('USAGE', 'There is nothing to check', {
      hint: 'Name a scenario or a file: `imperm check my-layout.yaml`. --all takes every scenario in scenarios/.',
    });
  const files = all ? await findScenarios(SCENARIOS_DIR) : await Promise.all(names.map(findScenario));
  const scenarios = await loadScenarios([...new Set(files)]);
  const judged: readonly Judged[] = judgeFindings(
    scenarios.map((file) => ({ file, findings: lintFile(file) })),
  );
  process.stdout.write(
    [...judged.map((each) => renderJudged(each, width)), renderLintSummary(judged, scenarios.length)].join(
      '\n',
    ),
  );
  return judged.some(({ kind }) => kind === 'warning') ? EXIT.layoutFailed : EXIT.ok;
}
