import { HarnessError } from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import type { MachineSpec } from './machine-spec.js';

/**
 * The firmware that a machine starts with: one that knows Secure Boot only where it is wanted, for it is slower.
 *
 * @throws {HarnessError} HOST_UNFIT when the machine needs a firmware with Secure Boot, and there is none.
 */
export function chooseFirmwareCode(
  toolbox: Pick<Toolbox, 'firmwareCode' | 'secureFirmwareCode'>,
  { secureBoot }: Pick<MachineSpec, 'secureBoot'>,
): string {
  if (secureBoot !== true) return toolbox.firmwareCode;
  if (toolbox.secureFirmwareCode !== undefined) return toolbox.secureFirmwareCode;
  throw new HarnessError(
    'HOST_UNFIT',
    `The host has no firmware with Secure Boot beside ${toolbox.firmwareCode}`,
    {
      hint: 'Install one (OVMF_CODE.secboot.fd), or run without `--tools host`: imperm then brings its own.',
    },
  );
}
