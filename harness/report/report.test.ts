import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';
import { Parser, type FinalResults, type Result } from 'tap-parser';
import { parseStringPromise } from 'xml2js';

import {
  readRecord,
  type CheckRecord,
  type LeakRecord,
  type RunRecord,
  type VariantRecord,
} from '../record/index.js';
import {
  renderJUnit,
  renderLeaks,
  renderPhaseTable,
  renderSummary,
  renderTap,
  writeReports,
} from './index.js';
import { HOSTILE_TAIL, makeSampleRecord } from './sample-run.js';
import { makeOneLine, makePrintable } from './text.js';

const record = makeSampleRecord();

/** Texts that break careless formats, as a title, a finding, a reason or a name of a file might hold them. */
const NASTY = [
  HOSTILE_TAIL,
  'ends with a brace {',
  'a # SKIP that is none',
  'back\\slash \\# and \\\\',
  '...',
  '---\nok 1 - not a point\n1..9\nBail out!',
  '  - leading blanks: "quoted" \'too\'\n\n  and an empty line  ',
  'null',
  '12',
  'tab\there, \r\n windows, \u2028 separator, \ufffe, lone \ud800 surrogate, 🧊 and 中文',
  ']]><!-- & <b attr="x">',
  '',
];

/** The sample with one text put everywhere where a guest or a scenario could have put it. */
function poison(text: string): RunRecord {
  const check = (each: CheckRecord): CheckRecord => ({
    ...each,
    title: text,
    found: text,
    ...(each.status === 'pass' ? {} : { expected: text, cause: text, evidence: [text, text], files: [text] }),
  });
  const variant = (each: VariantRecord): VariantRecord => ({
    ...each,
    scenario: { ...each.scenario, title: text },
    ...(each.reason === undefined ? {} : { reason: text }),
    ...(each.error === undefined
      ? {}
      : { error: { ...each.error, message: text, hint: text, details: text } }),
    checks: each.checks.map(check),
    ...(each.leaks === undefined
      ? {}
      : { leaks: { ...each.leaks, lost: [text], orphans: [text], stores: [text], missing: [text] } }),
  });
  return { ...record, variants: record.variants.map(variant) };
}

function variantOf(source: RunRecord, name: string): VariantRecord {
  const found = source.variants.find((variant) => variant.scenario.name === name);
  if (found === undefined) throw new Error(`no variant ${name}`);
  return found;
}

/** The text without a fold: for sentences that were wrapped. */
function unwrap(text: string): string {
  return text.replace(/\s+/g, ' ');
}

t.test('summary', async (t) => {
  const folder = 'reports/20260301-100000';
  const text = renderSummary(record, { folder, width: 90 });

  await t.test('tells a broken promise in full, once, at the boot where it broke', async (t) => {
    const start = text.indexOf('FAIL  rollback-too-late[disk=virtio]');
    const part = text.slice(start, text.indexOf('ERROR  tmpfs-luks'));
    const words = unwrap(part);
    for (const expected of [
      'After boot 1 (first power-on): 1 promise broken 1. The disk is unlocked, then rolled back, then mounted [rollback-order]',
      'promised at scenarios/bugs/rollback-too-late/scenario.yaml:6:5',
      'expected systemd-cryptsetup@cryptfs.service < rollback.service < sysroot.mount',
      'found sysroot.mount (5.310 s) was done before rollback.service (5.902 s) began',
      'history broken after boots 1, 2 and 3',
      'likely why The rollback ran after /sysroot was mounted',
      'After boot 2 (reboot): 2 more promises broken 2. The root is new after every boot [root-wiped]',
      'history kept after boot 1; broken after boots 2 and 3',
      'after boot 3 / is still the subvolume that was made in boot 2',
      'likely why the same as for number 1',
      '3. /etc/nixos keeps its files #1 { [kept:/etc/nixos]',
      'history kept after boot 1; broken after boot 2; kept after boot 3',
      `evidence ${folder}/rollback-too-late-disk-virtio/`,
      'look console.log there has all that the machine wrote, journal.log its journal;',
      'repeat imperm run rollback-too-late --variant disk=virtio',
    ]) {
      t.ok(words.includes(expected), expected);
    }
    t.match(
      part,
      /^ +\| \[ {4}5\.902377\] systemd\[1\]: Starting rollback\.service\.\.\.$/m,
      'evidence is not wrapped',
    );
    t.ok(
      part.includes(`${folder}/rollback-too-late-disk-virtio/boot-2/evidence.json\n`),
      'paths are not broken',
    );
    t.equal(part.split('The root is new after every boot').length, 2);
  });

  await t.test('tells an error with its hint and the tail of the console, made harmless', async (t) => {
    const words = unwrap(text.slice(text.indexOf('ERROR  tmpfs-luks')));
    t.ok(words.includes('This says nothing about the layout.'));
    const unbooted = { ...variantOf(record, 'tmpfs-luks'), boots: [] };
    t.notMatch(
      renderSummary({ ...record, variants: [unbooted] }),
      'console.log there',
      'a machine that was never on has written nothing',
    );
    t.ok(words.includes('TIMEOUT The machine did not answer within 120 s after boot 2 began'));
    t.ok(words.includes('what to do Look at console.txt'));
    t.ok(
      words.includes(
        '| FAILED to mount <sysroot> & "friends" ]]> | ... | --- | \\x00\\x00 [ 9.1] \\u202edne',
      ),
    );
    t.ok(words.includes('1 promise could not be looked at 1. Swap is on [swap-active]'));
  });

  await t.test('begins with a table and ends with what was proved', async (t) => {
    t.match(text, /^pass +btrfs-luks-rollback +disk=virtio +47\.9 s +3 +4 of 4$/m);
    t.match(
      text,
      /^FAIL +rollback-too-late .* 0 of 3\n +broken: rollback-order, root-wiped, kept:\/etc\/nixos$/m,
    );
    t.match(text, /^skip +nixos-flake .*\n +The nixos guest needs a binary cache/m);
    const closing = unwrap(text.slice(text.indexOf('== Result ==')));
    for (const expected of [
      '5 variants: 1 passed, 1 failed, 1 could not be judged, 1 failed as declared, 1 skipped.',
      '9 boots, 3 wipes of the root proved; 6 promises kept, 4 broken, 1 could not be looked at (22 checks).',
      'TCG, which is emulation and slow (/dev/kvm opens, but no guest reaches its first byte), QEMU 10.0.13',
      `Report: ${folder} `,
      'Exit code 1: a layout broke a promise.',
    ]) {
      t.ok(closing.includes(expected), expected);
    }
  });

  await t.test('keeps to the width, and to plain text unless told otherwise', async (t) => {
    for (const width of [60, 80, 120]) {
      const lines = renderSummary(record, { width }).split('\n');
      const long = lines.filter((line) => line.length > width && !/^verdict|[|/=]/.test(line));
      t.strictSame(long, [], `${String(width)} columns`);
    }
    t.match(text, /^[\P{Cc}\n]*$/u);
    for (const nasty of NASTY) t.match(renderSummary(poison(nasty), { proofs: true }), /^[\P{Cc}\n]*$/u);
    t.ok(renderSummary(record, { color: true }).includes('\u001b[32mpass\u001b[39m'));
  });

  await t.test('says so when nothing was proved', async (t) => {
    const skipped = { ...record, variants: [variantOf(record, 'nixos-flake')] };
    t.match(renderSummary(skipped), /Nothing was run, so nothing is proved\.[^]*Exit code 0/);
    t.match(renderSummary({ ...record, variants: [] }), /No variant was run\.[^]*Exit code 69/);
    const { host, ...early } = { ...record, interrupted: true };
    t.ok(host);
    t.match(
      unwrap(renderSummary(early)),
      /before it was known what the machines would run on.*Exit code 130/,
    );
  });

  await t.test('says what was kept, how large it is, and what opens it', (t) => {
    const [first, ...others] = record.variants;
    if (first === undefined) throw new Error('no variant');
    const kept = { folder: 'a-disk=nvme/kept', sizeBytes: 3.25 * 2 ** 30 };
    const variants = [{ ...first, folder: 'a-disk=nvme', kept }, ...others];
    const text = renderSummary({ ...record, variants }, { folder: 'reports/r' });
    t.match(
      text,
      'Kept, 3.3 GiB (rm -r reports/r/a-disk=nvme/kept):\n  npx imperm shell reports/r a-disk=nvme\n',
    );
    t.notMatch(renderSummary(record), /Kept, /, 'nothing is said of what was not kept');
    t.end();
  });

  await t.test('lists the proofs when asked', async (t) => {
    t.notMatch(text, /9 files unchanged/);
    t.match(
      renderSummary(record, { proofs: true }),
      /\/home keeps its files \[kept:\/home\]\n +after boot 1 +9 files unchanged/,
    );
  });
});

t.test('leaks are in every report, and change no verdict', async (t) => {
  const words = unwrap(renderSummary(record, { folder: 'reports/r' }));
  const expected =
    'Not kept (btrfs-luks-rollback[disk=virtio]): 3 things the next boot loses, 1 orphan in /persist: imperm leaks reports/r';
  t.ok(words.includes(expected), expected);
  t.notMatch(words, 'Not kept (rollback-too-late', 'where nothing is known, what broke tells enough');
  const tooLate = record.variants.filter(({ scenario }) => scenario.name === 'rollback-too-late');
  t.match(
    unwrap(renderSummary({ ...record, variants: tooLate })),
    'Not kept: not all could be looked at (The root was not listed at the start of boot 3.): imperm leaks',
    'unless it is the only one',
  );
  const lines = ['lost by the next boot: /var/lib/app', 'kept, not declared: /persist/old'];
  for (const line of lines) {
    t.ok(renderSummary(record, { proofs: true }).includes(line));
    t.ok(renderTap(record).includes(`    # ${line}\n`));
    t.ok(renderJUnit(record).includes(line));
  }
  const nothing = {
    lost: [],
    remade: [],
    orphans: [],
    stores: ['/persist'],
    missing: [],
    file: 'leaks.json',
  };
  const clean = {
    ...record,
    variants: record.variants.slice(0, 1).map((each) => ({ ...each, leaks: nothing })),
  };
  t.match(renderSummary(clean), /^Not kept: nothing that anyone made, and no orphans: imperm leaks$/m);
});

t.test('machines on several hosts are told', (t) => {
  const { host, ...rest } = record;
  if (host === undefined) throw new Error('the sample has a host');
  const hosts = ['one', 'two'].map((name) => ({ ...host, connect: `qemu+ssh://${name}/system` }));
  t.match(
    unwrap(renderSummary({ ...rest, hosts })),
    /, on 2 hosts: qemu\+ssh:\/\/one\/system on tcg, QEMU [^;]*; qemu\+ssh:\/\/two\/system on tcg, /,
  );
  t.end();
});

t.test('all leaks of a variant as a text', async (t) => {
  const leak: LeakRecord = {
    path: '/var/lib/app',
    kind: 'directory',
    changes: ['new'],
    mode: '0750',
    user: 'app',
    group: 'root',
    content: { files: 2, directories: 1, links: 0, subvolumes: 0, others: 0, sizeBytes: 1234, sample: ['a'] },
    owner: 'app.service',
    because: 'StateDirectory=',
  };
  const plain: LeakRecord = {
    path: '/etc/a\nb',
    kind: 'file',
    changes: ['content'],
    mode: '0644',
    user: 'root',
    group: 'root',
    sizeBytes: 0,
    owner: 'unknown',
  };
  const text = renderLeaks('v', {
    version: 1,
    view: 'disk',
    lost: [plain, leak],
    remade: [],
    stores: ['/persist'],
    missing: ['/persist could not be read.'],
    nix: 'environment.persistence."/persist" = {\n  files = [ "/x" ];\n};\n',
  });
  for (const expected of [
    'The next boot loses: 2 things\n  app.service (StateDirectory=)\n    /var/lib/app\n      directory, new: 2 files and 1 directory, 1.2 KiB (a, …); app:root 0750\n  unknown\n    /etc/a\\nb\n',
    'another content: nothing\n',
    'although nothing declares it: could not be looked at\n',
    'not known     /persist could not be read.\n',
    '\nenvironment.persistence."/persist" = {\n  files = [ "/x" ];\n};\n',
  ]) {
    t.ok(text.includes(expected), expected);
  }
});

t.test('phases are added up by name', async (t) => {
  const table = renderPhaseTable(record);
  t.match(table, /^build installer \(set-up\) +1 +41\.3 s +41\.3 s +13 %$/m);
  t.match(table, /^install +4 +52\.8 s +13\.2 s +17 %$/m);
  t.match(table, /^stage 1 +10 +3 min 28 s/m, 'nine boots, and the one in which the machine hung');
  t.match(table, /^between the phases +0\.4 s +0 %$/m);
  t.equal(renderPhaseTable({ ...record, setup: [], variants: [] }), '');
});

interface ParsedTap {
  readonly results: FinalResults;
  /** Test points of each subtest, by its name. */
  readonly points: Map<string, Result[]>;
  readonly top: Result[];
}

function parseTap(text: string): ParsedTap {
  const points = new Map<string, Result[]>();
  const top: Result[] = [];
  let results: FinalResults | undefined;
  const parser = new Parser({ strict: true }, (final) => {
    results = final;
  });
  parser.on('assert', (point: Result) => top.push(point));
  parser.on('child', (child: Parser) => {
    const list: Result[] = [];
    points.set(child.name, list);
    child.on('assert', (point: Result) => list.push(point));
  });
  parser.end(text);
  if (results === undefined) throw new Error('the parser did not finish');
  return { results, points, top };
}

t.test('TAP', async (t) => {
  await t.test('comes back from a strict parser with the same counts and facts', async (t) => {
    const { results, points, top } = parseTap(renderTap(record));
    t.strictSame(
      results.failures.filter((failure) => failure.tapError),
      [],
      'everything is TAP',
    );
    t.match(results, { ok: false, count: 5, pass: 3, fail: 2, skip: 1, bailout: false });
    t.strictSame(
      top.map((point) => [point.name, point.ok, point.skip]),
      record.variants.map((variant) => [
        variant.id,
        variant.verdict !== 'fail' && variant.verdict !== 'error',
        variant.verdict === 'skip' ? variant.reason : false,
      ]),
    );
    const late = variantOf(record, 'rollback-too-late');
    const seen = points.get(late.id) ?? [];
    t.strictSame(
      seen.map((point) => point.ok),
      late.checks.map((check) => check.status === 'pass'),
    );
    t.match(seen[3]?.name, 'mounted, after boot 2 [rollback-order]');
    t.match(seen[0]?.diag, {
      severity: 'fail',
      id: 'rollback-order',
      boot: 1,
      at: { file: 'scenarios/bugs/rollback-too-late/scenario.yaml', line: 6, column: 5 },
      evidence: late.checks[0]?.evidence,
      files: ['rollback-too-late-disk-virtio/boot-1/journal.txt'],
      repeat: late.repeat,
    });
    const hung = points.get('tmpfs-luks[disk=nvme]') ?? [];
    t.match(hung[0], { ok: false, diag: { severity: 'error', found: 'swapon did not answer' } });
    t.match(hung[1], {
      ok: false,
      diag: { severity: 'error', code: 'TIMEOUT', details: makePrintable(HOSTILE_TAIL) },
    });
    const known = points.get('nested-two-levels[disk=virtio]') ?? [];
    t.match(known.at(-1), { ok: false, todo: 'known bug: btrfs subvolume list -o shows one level only' });
  });

  await t.test('holds any text', async (t) => {
    for (const nasty of NASTY) {
      const { results, points, top } = parseTap(renderTap(poison(nasty)));
      const label = `text ${String(NASTY.indexOf(nasty))}`;
      t.strictSame(
        results.failures.filter((failure) => failure.tapError),
        [],
        label,
      );
      t.equal(results.count, 5, label);
      const late = points.get('rollback-too-late[disk=virtio]') ?? [];
      t.equal(late.length, 9, label);
      t.notOk(
        late.some((point) => point.skip !== false || point.todo !== false),
        label,
      );
      t.equal(late[0]?.name, makeOneLine(`${nasty}, after boot 1 [rollback-order]`).trim(), label);
      const reason = makeOneLine(nasty).trim().replace(/\{$/, '{.');
      t.equal(top[3]?.skip, reason === '' ? 'no reason given' : reason, label);
      t.equal((late[0]?.diag as { found?: unknown } | null)?.found, makePrintable(nasty), label);
    }
  });

  await t.test('a verdict that the checks do not show has a point', async (t) => {
    const healthy = variantOf(record, 'btrfs-luks-rollback');
    const reason = 'The declared bug did not show';
    const { points, results } = parseTap(
      renderTap({ ...record, variants: [{ ...healthy, verdict: 'fail', reason }] }),
    );
    t.equal(results.ok, false);
    t.match(points.get(healthy.id)?.at(-1), { ok: false, diag: { message: reason, severity: 'fail' } });
  });

  await t.test('nothing run, and interrupted', async (t) => {
    t.match(parseTap(renderTap({ ...record, variants: [] })).results, { count: 0, plan: { skipAll: true } });
    t.match(parseTap(renderTap({ ...record, interrupted: true })).results, {
      ok: false,
      bailout: 'The run was interrupted.',
    });
  });
});

interface XmlElement {
  readonly $: Readonly<Record<string, string>>;
  readonly _?: string;
  readonly testsuite?: readonly XmlElement[];
  readonly testcase?: readonly XmlElement[];
  readonly failure?: readonly XmlElement[];
  readonly error?: readonly XmlElement[];
  readonly skipped?: readonly XmlElement[];
  readonly 'system-out'?: readonly string[];
}

async function parseJUnit(xml: string): Promise<XmlElement> {
  const parsed = (await parseStringPromise(xml)) as { testsuites: XmlElement };
  return parsed.testsuites;
}

t.test('JUnit', async (t) => {
  await t.test('counts what it holds', async (t) => {
    const root = await parseJUnit(renderJUnit(record));
    const suites = root.testsuite ?? [];
    t.strictSame(
      suites.map((suite) => suite.$['name']),
      record.variants.map((variant) => variant.id),
    );
    for (const [attribute, child] of [
      ['tests', 'testcase'],
      ['failures', 'failure'],
      ['errors', 'error'],
      ['skipped', 'skipped'],
    ] as const) {
      const counts = suites.map((suite) => {
        const cases = suite.testcase ?? [];
        return child === 'testcase' ? cases.length : cases.filter((each) => child in each).length;
      });
      t.strictSame(
        suites.map((suite) => Number(suite.$[attribute])),
        counts,
        attribute,
      );
      // The schema of Jenkins counts what was skipped in suites alone.
      if (attribute === 'skipped') continue;
      t.equal(
        Number(root.$[attribute]),
        counts.reduce((sum, count) => sum + count),
        `${attribute} of all`,
      );
    }
    t.match(root.$, { tests: '27', failures: '6', errors: '2', time: '318.120' });
  });

  await t.test('tells what, where and why', async (t) => {
    const suites = (await parseJUnit(renderJUnit(record))).testsuite ?? [];
    const suite = suites[1];
    t.match(suite?.$, { time: '47.880', timestamp: '2026-03-01T10:01:29', hostname: 'localhost' });
    const failed = suite?.testcase?.[1];
    t.match(failed?.$, {
      classname: 'rollback-too-late[disk=virtio]',
      name: 'The disk is unlocked, then rolled back, then mounted, after boot 1 [rollback-order]',
    });
    t.match(failed?.failure?.[0]?.$['message'], /^sysroot\.mount \(5\.310 s\) was done before/);
    t.match(
      failed?.failure?.[0]?._,
      /Expected: [^]*Likely why: The rollback ran after[^]*Promised at scenarios\/bugs\/rollback-too-late\/scenario\.yaml:6:5[^]*Starting rollback\.service/,
    );
    t.match(failed?.['system-out']?.[0], 'rollback-too-late-disk-virtio/boot-1/journal.txt');
    t.match(suite?.['system-out']?.[0], /boot-3\/evidence\.json\n[^]*Repeat: imperm run rollback-too-late/);
    const names = suites.flatMap((each) =>
      (each.testcase ?? []).map((one) => `${one.$['classname'] ?? ''} ${one.$['name'] ?? ''}`),
    );
    t.equal(new Set(names).size, names.length, 'no two cases have one name');
    const hung = suites[2]?.testcase?.[0]?.error?.[0];
    t.match(hung?.$['type'], 'TIMEOUT');
    t.match(hung?._, 'At scenarios/tmpfs-luks/scenario.yaml:3:1');
    t.match(hung?._, 'FAILED to mount <sysroot> & "friends" ]]>');
    t.match(suites[3]?.testcase?.[0]?.skipped?.[0]?.$['message'], 'The nixos guest needs a binary cache');
    t.match(suites[4]?.testcase?.at(-1)?.skipped?.[0]?.$['message'], 'known bug: btrfs subvolume list');
  });

  await t.test('holds any text', async (t) => {
    for (const nasty of NASTY) {
      const xml = renderJUnit(poison(nasty));
      const label = `text ${String(NASTY.indexOf(nasty))}`;
      t.match(xml, /^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]*$/u, `${label}: legal XML`);
      const failure = (await parseJUnit(xml)).testsuite?.[1]?.testcase?.[1]?.failure?.[0];
      t.equal(failure?.$['message'], makePrintable(nasty), label);
    }
  });

  await t.test('a verdict that the checks do not show is in the case of the run', async (t) => {
    const healthy = variantOf(record, 'btrfs-luks-rollback');
    const changed: VariantRecord = { ...healthy, verdict: 'fail', reason: 'The declared bug did not show' };
    const root = await parseJUnit(renderJUnit({ ...record, variants: [changed] }));
    t.match(root.$, { failures: '1', errors: '0' });
    t.equal(root.testsuite?.[0]?.testcase?.[0]?.failure?.[0]?.$['message'], changed.reason);
    t.match((await parseJUnit(renderJUnit({ ...record, variants: [] }))).$, { tests: '0' });
  });
});

t.test('reports in a folder', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-report-'));
  t.teardown(() => rm(folder, { recursive: true }));

  await t.test('all of them', async (t) => {
    const run = path.join(folder, 'good');
    const { files, notes } = await writeReports(record, run);
    t.strictSame(notes, []);
    t.strictSame((await readdir(run)).sort(), [
      'junit.xml',
      'record.json',
      'report.html',
      'report.tap',
      'summary.txt',
    ]);
    t.strictSame(
      files.map((file) => path.dirname(file)),
      [run, run, run, run, run],
    );
    const read = await readRecord(path.join(run, 'record.json'));
    t.strictSame(read, record, 'the record is complete');
    t.equal(await readFile(path.join(run, 'junit.xml'), 'utf8'), renderJUnit(read));
    t.equal(await readFile(path.join(run, 'report.tap'), 'utf8'), renderTap(read));
    t.equal(await readFile(path.join(run, 'summary.txt'), 'utf8'), renderSummary(read, { proofs: true }));
  });

  await t.test('one that fails does not cost the others', async (t) => {
    const run = path.join(folder, 'bad');
    await mkdir(path.join(run, 'junit.xml'), { recursive: true });
    const blocked = await writeReports(record, run);
    t.strictSame(
      blocked.files.map((file) => path.basename(file)),
      ['record.json', 'report.tap', 'report.html', 'summary.txt'],
    );
    t.match(blocked.notes, [/junit\.xml: EISDIR/]);

    const broken = { ...record, host: 'not a host', startedAt: undefined } as unknown as RunRecord;
    const { files, notes } = await writeReports(broken, path.join(folder, 'broken'));
    t.strictSame(
      files.map((file) => path.basename(file)),
      ['record.json', 'junit.xml', 'report.tap'],
    );
    t.match(notes, [/report\.html/, /summary\.txt/]);
  });
});
