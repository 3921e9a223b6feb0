export * from './errors.js';
export { Budget, interruptedError, monotonicMs, wallClockMs, type BudgetOptions } from './budget.js';
export { Cleanup, describeFailure } from './cleanup.js';
export { readEnvironment, type Environment } from './env.js';
export {
  lastLines,
  runProgram,
  startProgram,
  type ProgramEnd,
  type ProgramResult,
  type RunningProgram,
  type RunProgramOptions,
} from './process.js';
export { quote } from './quote.js';
export { Redactor } from './redact.js';
export { cachedFolder, digestOf, type CachedOptions } from './cache.js';
export {
  formatIdentity,
  identityOf,
  isAlive,
  ownIdentity,
  parseIdentity,
  type ProcessIdentity,
} from './identity.js';
export { reapLeases, takeLease, type Lease, type ReapResult } from './lease.js';
export { takeLock, tryTakeLock, type Lock } from './lock.js';
export { repositoryRoot } from './repository.js';
