export { type Contract, makeContract } from './contract.js';
export type { MakeContractOptions } from './place.js';
