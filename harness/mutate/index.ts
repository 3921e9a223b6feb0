export type { Mutant, Original } from './mutant.js';
export { makeMutants } from './make-mutants.js';
export { controlScenario, decide, type Decision } from './decide.js';
export { judgeControl, judgeMutant, slowestPhaseMs } from './judge.js';
export { countResults, renderControl, renderListed, renderMutant, renderResults } from './render.js';
export {
  type ControlResult,
  emptyResults,
  type LayoutResults,
  type MutantResult,
  type MutationResults,
  noteDecided,
  type Outcome,
  readResults,
  RESULTS_FILE,
  takeLayout,
} from './results.js';
export { isTrialOf, type Trial, trialScenario } from './trial.js';
