// Why a boot did not come up: what is told must be what was seen.
import t from 'tap';

import { loadScenario } from '../scenario/index.js';
import { explainFailedRollback, explainStuckBoot } from './explain-stuck.js';

const scenario = await loadScenario('scenarios/btrfs-luks-rollback/scenario.yaml');
const blank = await loadScenario('scenarios/btrfs-luks-blank-snapshot/scenario.yaml');

function lines(...messages: string[]) {
  return messages.map((message, index) => ({ monotonicUs: index * 1_000_000, message }));
}

function diskWith(device: string, ...paths: string[]) {
  const subvolumes = paths.map((path, index) => ({ id: 256 + index, path, uuid: `u${String(index)}` }));
  return { volumes: [{ device, subvolumes, canaries: new Map() }] };
}

const kept = ['home', 'nix', 'persist', 'log'];
const whole = diskWith('/dev/mapper/cryptfs', 'root', ...kept);

void t.test('what the rollback deleted besides the root', (t) => {
  const journal = lines(
    "Delete subvolume 257 (no-commit): '/mnt/home'",
    "Delete subvolume 259 (no-commit): '/mnt/persist'",
    'ERROR: Not a Btrfs subvolume: Invalid argument',
  );
  const found = explainStuckBoot(scenario, { message: '', journal, disk: whole });
  t.match(found?.cause, /deleted the subvolumes of \/home, \/persist.*plain directory.*impermanence#250/);
  t.equal(found?.evidence.length, 3);
  const other = explainStuckBoot(scenario, { message: '', journal: journal.slice(0, 1), disk: whole });
  t.notMatch(other?.cause, /plain directory/, 'said only where btrfs says so');
  const nested = lines(
    "Delete subvolume 300 (no-commit): '/mnt/root/srv/home'",
    "Delete subvolume 256: '/mnt/root'",
  );
  t.equal(
    explainStuckBoot(scenario, { message: '', journal: nested, disk: whole }),
    undefined,
    'in the root all may go',
  );
  t.end();
});

void t.test('that there is no root, and who took it', (t) => {
  const none = diskWith('/dev/mapper/cryptfs', ...kept);
  const causeOf = (of: typeof scenario, disk: typeof none, ...messages: string[]): string | undefined =>
    explainStuckBoot(of, { message: '', journal: lines(...messages), disk })?.cause;
  t.match(causeOf(scenario, none), /no subvolume root on \/dev\/mapper\/cryptfs.*under "set -e"/);
  t.match(
    causeOf(scenario, none, "Delete subvolume 256: '/mnt/root'"),
    /deleted it and did not come to make/,
  );
  const noBlank = diskWith('/dev/mapper/enc', ...kept);
  t.match(
    causeOf(blank, noBlank, "Delete subvolume 256: '/mnt/root'"),
    /there is no root-blank to take its place/,
  );
  t.equal(causeOf(scenario, whole), undefined, 'there is one');
  t.equal(causeOf(scenario, { volumes: [] }), undefined, 'nobody could look');
  t.end();
});

void t.test('a device that did not come, and why it may not have', (t) => {
  const causeOf = (device: string): string | undefined =>
    explainStuckBoot(scenario, {
      message: '',
      journal: lines(`Timed out waiting for device ${device}.`),
      disk: whole,
    })?.cause;
  t.match(
    causeOf('/dev/disk/by-label/nixos'),
    /gave up waiting for \/dev\/disk\/by-label\/nixos\. If it lies in LUKS/,
  );
  t.match(
    causeOf(String.raw`dev-disk-by\x2dlabel-nixos.device - /dev/disk/by-label/nixos`),
    /gave up waiting for \/dev\/disk\/by-label\/nixos\./,
    'as systemd 257 says it',
  );
  t.match(causeOf('/dev/disk/by-partlabel/ESP'), /from which \/boot is mounted.*nofail/, 'in stage 2');
  t.equal(causeOf('/dev/mapper/cryptfs'), 'Stage 1 gave up waiting for /dev/mapper/cryptfs.');
  t.end();
});

void t.test('a passphrase that was wrong too often', (t) => {
  const causeOf = (message: string): string | undefined =>
    explainStuckBoot(scenario, { message: '', journal: lines(message), disk: whole })?.cause;
  t.match(causeOf('Too many attempts to activate; giving up.'), /wrong too often.*tries=0/);
  t.equal(
    causeOf('Failed to activate with specified passphrase. (Passphrase incorrect?)'),
    undefined,
    'once is not',
  );
  t.end();
});

void t.test('a rollback that failed', (t) => {
  const by = (writer: string | undefined, message: string) => ({
    monotonicUs: 1_000_000,
    message,
    ...(writer === undefined ? { about: 'rollback.service' } : { writer }),
  });
  const ended = by(undefined, 'Failed to start rollback.service - Rollback the root.');
  const causeOf = (...journal: ReturnType<typeof by>[]): string | undefined =>
    explainFailedRollback(blank, {
      journal,
      disk: diskWith('/dev/mapper/enc', 'root', 'root/srv', 'root/var/tmp', ...kept),
    })?.cause;
  const notEmpty = by('rollback.service', 'ERROR: Could not destroy subvolume/snapshot: Directory not empty');
  t.match(
    causeOf(notEmpty, by('rollback.service', "Delete subvolume 262 (no-commit): '/mnt/root'"), ended),
    /rollback.service failed.*holds subvolumes \(\/srv, \/var\/tmp\).*from the leaves up/,
  );
  t.match(
    causeOf(by('rollback.service', 'Not rolled back: no blank'), ended),
    /said: "Not rolled back: no blank"/,
  );
  t.match(causeOf(ended), /said nothing/);
  t.equal(causeOf(notEmpty), undefined, 'it has not failed');
  t.equal(causeOf(by('other.service', 'Directory not empty')), undefined);
  t.end();
});
