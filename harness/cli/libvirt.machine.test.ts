// A whole layout on libvirt by the real command line: it passes, and every report says where that was seen.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';
import { Parser, type Result } from 'tap-parser';
import { parseStringPromise } from 'xml2js';

import { Budget, HarnessError, readEnvironment, repositoryRoot } from '../core/index.js';
import { openTarget } from '../target/index.js';
import { HISTORY_FILE } from '../record/index.js';
import { Cli, readOnlyRecord, withFolder } from './cli-process.js';

const ASK_MS = 60_000;
/** That of this user: root's libvirt refuses sessions. */
const URI = process.getuid?.() === 0 ? 'qemu:///system' : 'qemu:///session';

/** Two boots; cutting the power is in the contract of targets. */
const describeScenario = (folder: string): string => `imperm: 1
title: A layout on libvirt
extends: ${path.relative(folder, path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'))}
matrix: { stage1: [systemd], disk: [virtio], sectorSize: null, luks: null, firmware: null }
steps: [boot, reboot, power-off]
`;

interface JUnit {
  readonly testsuites: {
    readonly testsuite: readonly { readonly $: Readonly<Record<'name' | 'failures' | 'errors', string>> }[];
  };
}

/** Why there is no libvirt to be tested; undefined when there is one. */
async function whyNone(): Promise<string | undefined> {
  try {
    const { workDir } = readEnvironment();
    const budget = Budget.start('libvirt', ASK_MS, new AbortController().signal);
    await openTarget({ kind: 'libvirt', uri: URI }, { workDir, budget });
    return undefined;
  } catch (error) {
    if (!(error instanceof HarnessError) || error.code !== 'HOST_UNFIT') throw error;
    return error.message;
  }
}

const none = await whyNone();
const skip = none === undefined ? false : `${none}: no layout is seen on this target`;

t.test('a layout passes on libvirt', { skip }, (t) =>
  withFolder(async (folder) => {
    const scenario = path.join(folder, 'on-libvirt.yaml');
    await writeFile(scenario, describeScenario(folder));
    const reports = path.join(folder, 'reports');
    const { exitCode, stdout, stderr } = await new Cli([
      ...['run', scenario],
      ...['--target', 'libvirt', '--connect', URI, '--reports', reports],
    ]).result;
    t.equal(exitCode, 0, stderr.slice(-4000));
    const { host, variants } = await readOnlyRecord(reports);
    const [layout] = variants;
    t.match(variants, [{ verdict: 'pass', target: 'libvirt' }], stderr.slice(-4000));
    t.match(host?.qemu, new RegExp(`libvirt \\S+, ${URI}`), 'the record names libvirt and its address');
    t.strictSame(
      layout?.boots.map(({ number, how }) => `${String(number)} ${how}`),
      ['1 power-on', '2 reboot'],
    );
    t.equal(new Set(layout?.boots.map(({ bootId }) => bootId)).size, 2, 'two different boots');
    const looks = layout?.checks.filter(({ id }) => id === 'kept:/nix') ?? [];
    t.equal(looks.length, 3, 'looked at in every boot and on the powered-off disk');

    const [run = ''] = (await readdir(reports)).filter((name) => name !== 'latest' && name !== HISTORY_FILE);
    const report = (name: string): Promise<string> => readFile(path.join(reports, run, name), 'utf8');
    const { testsuites } = (await parseStringPromise(await report('junit.xml'))) as JUnit;
    t.match(
      testsuites.testsuite.map(({ $ }) => $),
      [{ name: layout?.id, failures: '0', errors: '0' }],
      'JUnit tells the same',
    );
    const points: Result[] = [];
    const parser = new Parser();
    parser.on('assert', (point: Result) => points.push(point));
    parser.end(await report('report.tap'));
    t.match(points, [{ ok: true }], 'and so does TAP');
    t.match(await report('summary.txt'), /1 variant: 1 passed/);
    t.match(layout?.repeat, '--target libvirt', 'whoever repeats it repeats it there');
    t.match(stdout, /1 passed/);

    const left = await new Cli(['reap', '--connect', URI]).result;
    t.equal(left.exitCode, 0);
    t.match(left.stdout, / 0 machines of libvirt ended/, 'nothing is left of it');
  }),
);
