// What is told of a boot that did not come up.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';

import { HarnessError } from '../core/index.js';
import { loadScenarios, type Scenario, selectVariants } from '../scenario/index.js';
import type { FindingLog } from './findings.js';
import { reportStuckBoot } from './stuck-boot.js';

const REFUSED =
  '../src/boot/boot.c:2576@image_start: Error loading \\EFI\\nixos\\x-bzImage.efi: Access denied';
const scenarios = await loadScenarios(['scenarios/btrfs-luks-rollback/scenario.yaml']);

function variantWith(firmware: string): Scenario {
  const [variant] = selectVariants(scenarios, { filter: { firmware }, spread: 'once' });
  if (variant === undefined) throw new Error(`no variant with firmware=${firmware}`);
  return variant.scenario;
}

/** The likely cause that is told with `message`. */
async function causeOf(firmware: string, message: string): Promise<string | undefined> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'stuck-boot-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  for (const name of ['console.log', 'journal.log']) writeFileSync(path.join(folder, name), '');
  const added: { readonly id: string; readonly cause?: string }[] = [];
  const log = {
    // Without a journal nothing can be said of the order.
    report: () => undefined,
    add: (check: (typeof added)[number]) => added.push(check),
  } as unknown as FindingLog;
  const error = new HarnessError('CONSOLE_FAILURE', message);
  const of = variantWith(firmware);
  const scenario = { ...of, promises: of.promises.filter(({ kind }) => kind !== 'rollback-order') };
  await reportStuckBoot({ boot: 2, error }, { scenario, folder, log, disk: { volumes: [] } });
  return added.find(({ id }) => id === 'boots')?.cause;
}

void t.test(
  'a kernel that is refused is explained by its signature, and only under Secure Boot',
  async (t) => {
    t.match(await causeOf('secure-boot', REFUSED), /not signed with a key that the firmware was given/);
    t.match(await causeOf('uefi', REFUSED), /^The last lines of the console/);
    t.match(
      await causeOf('secure-boot', REFUSED.replace('Access denied', 'Not found')),
      /^The last lines/,
      'a kernel that is not there is not refused',
    );
  },
);
