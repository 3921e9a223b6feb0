export type { Mutant, Original } from './mutant.js';
export { makeMutants } from './make-mutants.js';
export { controlScenario, decide, type Decision, isSameLayout, trialScenario } from './decide.js';
export { judgeControl, judgeMutant, slowestPhaseMs } from './judge.js';
export { countResults, renderControl, renderListed, renderMutant, renderResults } from './render.js';
export {
  type ControlResult,
  emptyResults,
  type LayoutResults,
  type MutantResult,
  type MutationResults,
  type Outcome,
  readResults,
  RESULTS_FILE,
  takeLayout,
} from './results.js';
