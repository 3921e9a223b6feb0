// A scenario whose system is another than the one that its promises follow from: what is planted, collected and read from
// the disk follows the promises, or a mutant would take away what it is to be caught with.
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import { openScenario, type Scenario, type ScenarioEdit } from '../scenario/index.js';
import { planCanaries } from './canary.js';
import { collectBootEvidence } from './collect.js';
import { collectHeaders, collectInstallEvidence, inspectDisk } from './inspect.js';

const source = await openScenario(path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'));
const original = source.scenario.variants[0]?.scenario as Scenario;

async function mutated(edits: readonly ScenarioEdit[]): Promise<Scenario> {
  const changed = await source.load([...edits, { at: ['promises'], remove: true }]);
  const system = changed.variants[0]?.scenario.system ?? original.system;
  return { ...original, system, promised: original.system };
}

t.test('probes look where the promises look', async (t) => {
  const boundary = 'x';
  const cases: Record<string, readonly ScenarioEdit[]> = {
    'no rollback': [{ at: ['system', 'rollback'], remove: true }],
    'another key': [
      { at: ['system', 'openssh', 'hostKeys', 0, 'path'], set: '/etc/ssh/ssh_host_ed25519_key' },
    ],
    'a root in memory': [
      { at: ['system', 'fileSystems', '/'], set: { device: 'none', fsType: 'tmpfs', options: [] } },
    ],
    'no home': [{ at: ['system', 'fileSystems', '/home'], remove: true }],
    'nothing persisted': [{ at: ['system', 'persistence'], remove: true }],
    'another partition': [
      { at: ['system', 'luks', 'cryptfs', 'device'], set: '/dev/disk/by-partlabel/other' },
    ],
  };
  for (const [name, edits] of Object.entries(cases)) {
    const scenario = await mutated(edits);
    t.notSame(scenario.system, original.system, name);
    t.same(planCanaries(scenario, 1), planCanaries(original, 1), `${name}: what is planted`);
    const options = { canaryFolders: ['/a'], boundary };
    t.equal(
      collectBootEvidence(scenario, 2, options).script,
      collectBootEvidence(original, 2, options).script,
      `${name}: what is collected`,
    );
    t.equal(collectHeaders(scenario, { boundary }).script, collectHeaders(original, { boundary }).script);
    t.equal(
      collectInstallEvidence(scenario, { boundary }).script,
      collectInstallEvidence(original, { boundary }).script,
    );
    const inspect = { boundary, device: '/dev/vda', passphraseFile: '/p', trees: [] };
    t.equal(
      inspectDisk(scenario, inspect).script,
      inspectDisk(original, inspect).script,
      `${name}: what is read from the disk`,
    );
  }
});
