import { type MachineKeys, makeMachineKeys, makeNonce } from '../target/index.js';

/** What a machine is told when it is started, and is recognised by. */
export interface MachineIdentity {
  readonly keys: MachineKeys;
  readonly nonce: string;
}

export function makeIdentity(): MachineIdentity {
  return { keys: makeMachineKeys(), nonce: makeNonce() };
}
