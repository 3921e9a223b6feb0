export { type Contract, makeContract, type MakeContractOptions } from './contract.js';
