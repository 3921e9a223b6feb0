// nix/ as far as it can be checked without nixpkgs: by real Nix, against reviewed files, and against what the debian guest
// has on its disk. Its texts are read by the programs they are for in rendered.test.ts. What nixpkgs would say of it is for a machine that has it (`nix flake check ./nix`).
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t, { type Test } from 'tap';

import { HarnessError, repositoryRoot, runProgram } from '../core/index.js';
import { makeStageOneTree, makeSystemTree, type Tree } from '../guest/index.js';
import { evaluateMapping, NIX_DIR, nixEnvironment } from './evaluate.js';
import { GOLDEN_DIR, summarizeMapping } from './golden.js';
import { makeNixDocument, renderNixDocument } from './index.js';
import { pairWithMapping } from './mapped-systems.js';
import { setUpNixTest } from './test-set-up.js';
import { openOldNix } from './test-tools.js';
import { loadAllScenarios, NIX_SCENARIOS_DIR } from './write.js';

const { folder, budget, nix } = await setUpNixTest(t, 'nix/ to be checked');

const scenarios = await loadAllScenarios();
const mapping = await evaluateMapping(nix);

const systems = pairWithMapping(scenarios, mapping);
type Each = (typeof systems)[number];

async function filesBelow(root: string, ending: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true });
  return entries.filter((entry) => entry.endsWith(ending)).map((entry) => path.join(root, entry));
}

function textOf(tree: Tree, file: string): string {
  const entry = tree.get(file);
  if (entry?.kind !== 'file')
    throw new Error(`there is no file ${file} among ${[...tree.keys()].join(', ')}`);
  return Buffer.from(entry.content).toString('utf8');
}

const sortedLines = (text: string): string[] => text.split('\n').filter(Boolean).sort();

void t.test('every file of nix/ is well-formed', async (t) => {
  const files = await filesBelow(NIX_DIR, '.nix');
  t.ok(files.length >= 20, `${String(files.length)} files`);
  await nix('nix-instantiate', ['--store', 'dummy://', '--parse', ...files]);
  const broken = path.join(folder, 'broken.nix');
  await writeFile(broken, '{ a = 1 }');
  await t.rejects(
    nix('nix-instantiate', ['--store', 'dummy://', '--parse', broken]),
    { code: 'TOOL_FAILED' },
    'the check can fail',
  );
});

void t.test('nix/scenarios holds every scenario as it is', async (t) => {
  const wanted = scenarios.map((each) => `${each.name}.json`).sort();
  t.strictSame((await readdir(NIX_SCENARIOS_DIR)).sort(), wanted, 'run `npm run schema`');
  for (const scenario of scenarios) {
    const file = path.join(NIX_SCENARIOS_DIR, `${scenario.name}.json`);
    t.equal(
      await readFile(file, 'utf8'),
      renderNixDocument(makeNixDocument(scenario)),
      'run `npm run schema`',
    );
  }
  t.notMatch(JSON.stringify(scenarios.map(makeNixDocument)), '"place"', 'nothing tells where it was written');
});

void t.test('the mapping of every scenario is the one that was reviewed', async (t) => {
  t.strictSame(
    (await readdir(GOLDEN_DIR)).sort(),
    Object.keys(mapping)
      .map((name) => `${name}.json`)
      .sort(),
    'run `npm run golden` and read the difference',
  );
  for (const [name, found] of Object.entries(await summarizeMapping(mapping, scenarios)))
    t.strictSame(
      found,
      JSON.parse(await readFile(path.join(GOLDEN_DIR, `${name}.json`), 'utf8')),
      `${name}: run \`npm run golden\` and read the difference`,
    );
});

void t.test('the oldest Nix that nix/ is for gives the same', async (t) => {
  const old = await openOldNix(budget);
  const run = async (program: string, args: readonly string[]): Promise<string> =>
    (await old.run(program, args, { env: nixEnvironment(folder) })).stdout;
  t.match(await run('nix-instantiate', ['--version']), / 2\.8\./);
  t.match(await nix('nix-instantiate', ['--version']), / 2\.26\./);
  t.strictSame(await evaluateMapping(run), mapping);
});

void t.test('a word that the mapping does not know is refused', async (t) => {
  const evaluate = async (change: string): Promise<string> => {
    const file = path.join(NIX_DIR, 'scenarios/btrfs-luks-rollback.json');
    return nix('nix-instantiate', [
      ...['--store', 'dummy://', '--eval', '--strict', '--json', '--expr'],
      `let system = (builtins.fromJSON (builtins.readFile ${file})).systems.btrfs-luks-rollback-systemd-passphrase; in import ${NIX_DIR}/lib/map.nix (system // ${change})`,
    ]);
  };
  t.match(await evaluate('{ }'), '"hostName":"imperm"');
  const CHANGES = [
    '{ colour = "red"; }',
    '{ luks = map (each: each // { fido2 = true; }) system.luks; }',
    '{ fileSystems = map (each: each // { label = "x"; }) system.fileSystems; }',
    '{ rollback = system.rollback // { service = system.rollback.service // { onFailure = [ ]; }; }; }',
    '{ services = system.services // { podman.enable = true; }; }',
    '{ users = map (each: each // { shell = "zsh"; }) system.users; }',
  ];
  for (const change of CHANGES) {
    const error: unknown = await evaluate(change).catch((thrown: unknown) => thrown);
    t.ok(error instanceof HarnessError, change);
    t.match((error as HarnessError).details, /of which this mapping knows nothing/, change);
  }
});

void t.test('imperm nix prints the document of a scenario, and refuses one that has no system', async (t) => {
  const imperm = async (scenario: string): Promise<string> => {
    const args = [path.join(repositoryRoot, 'harness/bin/imperm.mjs'), 'nix', scenario];
    return `${(await runProgram(process.execPath, args, { budget })).stdout}\n`;
  };
  t.equal(
    await imperm('btrfs-image'),
    await readFile(path.join(NIX_SCENARIOS_DIR, 'btrfs-image.json'), 'utf8'),
  );
  const error: unknown = await imperm(
    path.join(repositoryRoot, 'scenarios/broken/secure-boot-unsigned'),
  ).catch((thrown: unknown) => thrown);
  t.match(
    (error as HarnessError).details,
    /secure-boot-unsigned cannot be.*\n.*firmware=secure-boot: NixOS has no/,
  );
});

// ---- what the two guests have on their disks -----------------------------------------------------------------------

/** The store path of the rollback's program, as nix/checks/render.nix writes it. */
const PROGRAM = '@unit-script-rollback-start@';

function checkSystemdStageOne(t: Test, { name, system, mapped }: Each): void {
  const { rendered } = mapped;
  const tree = makeStageOneTree(system, PROGRAM);
  t.strictSame([...rendered.initrdFstab].sort(), sortedLines(textOf(tree, '/etc/initrd-fstab')), name);
  t.equal(rendered.crypttab, textOf(tree, '/etc/crypttab'), `${name}: crypttab`);
  t.strictSame(Object.keys(rendered.services), system.rollback === undefined ? [] : [system.rollback.name]);
  t.strictSame(rendered.hooks, {});
  for (const [service, { program, script, unit }] of Object.entries(rendered.services)) {
    t.equal(textOf(tree, `/etc/systemd/system/${service}.service`), unit, `${name}: unit`);
    const [interpreter, ...rest] = textOf(tree, `${PROGRAM}${program}`).split('\n');
    t.equal(interpreter, '#!/bin/bash');
    t.equal(rest.join('\n'), script, `${name}: program`);
  }
}

const PRIORITY = { before: 500, default: 1000, after: 1500 };

function checkScriptedStageOne(t: Test, { name, system, mapped }: Each): void {
  const { services, hooks } = mapped.rendered;
  t.strictSame(services, {});
  const scripted = system.rollback?.scripted;
  const wanted =
    scripted === undefined
      ? {}
      : {
          [scripted.hook]: {
            _type: 'order',
            priority: PRIORITY[scripted.order],
            content: scripted.script.text,
          },
        };
  t.strictSame(hooks, wanted, name);
  const init = textOf(makeStageOneTree(system, undefined), '/init');
  for (const { content } of Object.values(hooks)) t.ok(init.includes(content), `${name}: part of stage 1`);
}

void t.test('what NixOS writes for stage 1 is, byte by byte, what the debian guest has', (t) => {
  for (const each of systems) {
    const fstab = textOf(makeSystemTree(each.system, '/nix/store/base'), '/etc/fstab');
    t.strictSame([...each.mapped.rendered.fstab].sort(), sortedLines(fstab), `${each.name}: fstab`);
    if (each.system.stage1 === 'systemd') checkSystemdStageOne(t, each);
    else checkScriptedStageOne(t, each);
  }
  t.end();
});

// ---- the flake -------------------------------------------------------------------------------------------------------

interface Lock {
  readonly version: number;
  readonly root: string;
  readonly nodes: Readonly<
    Record<
      string,
      {
        readonly flake?: boolean;
        readonly inputs?: Readonly<Record<string, string>>;
        readonly locked?: Readonly<Record<string, string | number>>;
        readonly original?: Readonly<Record<string, string>>;
      }
    >
  >;
}

void t.test('flake.lock pins every input to a revision and a hash, and Nix takes it as it is', async (t) => {
  const lock = JSON.parse(await readFile(path.join(NIX_DIR, 'flake.lock'), 'utf8')) as Lock;
  const written = JSON.parse(
    await nix('nix-instantiate', [
      ...['--store', 'dummy://', '--eval', '--strict', '--json', '--expr'],
      `(import ${NIX_DIR}/flake.nix).inputs`,
    ]),
  ) as Record<string, { url: string; flake?: boolean }>;
  t.equal(lock.version, 7);
  t.strictSame(Object.keys(lock.nodes).sort(), [...Object.keys(written), lock.root].sort());
  t.strictSame(
    lock.nodes[lock.root]?.inputs,
    Object.fromEntries(Object.keys(written).map((name) => [name, name])),
  );
  for (const [name, { url, flake }] of Object.entries(written)) {
    const { locked = {}, original = {}, ...node } = lock.nodes[name] ?? {};
    const [, owner, repo, ref = ''] = /^github:([^/]+)\/([^/]+)\/(.+)$/.exec(url) ?? [];
    const isRevision = /^[0-9a-f]{40}$/.test(ref);
    t.strictSame(original, { owner, repo, type: 'github', ...(isRevision ? { rev: ref } : { ref }) }, name);
    t.equal(node.flake, flake, name);
    t.strictSame([locked['type'], locked['owner'], locked['repo']], ['github', owner, repo], name);
    t.match(locked['rev'], isRevision ? new RegExp(`^${ref}$`) : /^[0-9a-f]{40}$/, name);
    const hash = /^sha256-([A-Za-z0-9+/]{43}=)$/.exec(String(locked['narHash']))?.[1] ?? '';
    t.equal(Buffer.from(hash, 'base64').length, 32, name);
    t.ok(Number(locked['lastModified']) > Date.UTC(2024, 0) / 1000, name);
  }
});

/** A flake's folder with all that it reads, and nothing else: Nix copies it into its store. */
async function copyFlake(): Promise<string> {
  const copy = path.join(folder, 'source');
  const overlay = 'harness/guest/debian/overlay';
  await cp(NIX_DIR, path.join(copy, 'nix'), { recursive: true });
  await cp(path.join(repositoryRoot, overlay), path.join(copy, overlay), { recursive: true });
  return `path:${copy}?dir=nix`;
}

void t.test('the flake has the outputs that flakes have, with stubs for its inputs', async (t) => {
  const flake = await copyFlake();
  const empty = path.join(folder, 'empty');
  await mkdir(empty);
  const store = ['--store', path.join(folder, 'store'), '--offline'];
  const { locks } = JSON.parse(
    await nix('nix', [
      'flake',
      'metadata',
      ...store,
      '--no-write-lock-file',
      '--no-update-lock-file',
      '--json',
      flake,
    ]),
  ) as { locks: unknown };
  const lock = JSON.parse(await readFile(path.join(NIX_DIR, 'flake.lock'), 'utf8')) as Lock;
  t.strictSame(locks, lock, 'Nix has nothing to add to the lock');

  const stub = path.join(repositoryRoot, 'harness/nix/stub-nixpkgs');
  const stubs = Object.keys(lock.nodes)
    .filter((name) => name !== lock.root)
    .flatMap((name) => ['--override-input', name, `path:${name.startsWith('nixpkgs') ? stub : empty}`]);
  const evaluate = async (attribute: string, apply = 'all: all'): Promise<unknown> =>
    JSON.parse(
      await nix('nix', [
        ...['eval', '--json', ...store, '--no-write-lock-file', ...stubs],
        ...['--apply', apply, `${flake}#${attribute}`],
      ]),
    ) as unknown;
  t.match(
    await evaluate(
      'nixosConfigurations.machine-id-in-etc.config',
      'all: { inherit (all.services.dbus) implementation; inherit (all.environment.etc.machine-id) source; }',
    ),
    { implementation: 'broker', source: '/persist/etc/machine-id' },
    "a scenario's own module is part of its system, in a flake, which may read nothing but what it was given",
  );
  // After that, because `--no-build` only reads: by itself it writes no module of a scenario's own to the store.
  await nix('nix', ['flake', 'check', '--no-build', ...store, '--no-write-lock-file', ...stubs, flake]);
  t.strictSame(
    await evaluate('nixosConfigurations', 'builtins.attrNames'),
    systems.map(({ name }) => name).sort(),
    'a NixOS system for every system of every scenario',
  );
  const namesOf = (condition: (system: Each['system']) => boolean): string[] =>
    systems
      .filter(({ system }) => condition(system))
      .map(({ name }) => name)
      .sort();
  const all = namesOf(() => true);
  const scripted = namesOf(({ stage1 }) => stage1 === 'scripted');
  t.strictSame(
    await evaluate('legacyPackages.x86_64-linux.lanes', 'builtins.mapAttrs (_: builtins.attrNames)'),
    {
      '25_11': all,
      '25_11-impermanence-old': all,
      disko: namesOf(
        ({ image, luks, swapDevices, fileSystems }) =>
          image === undefined &&
          luks.every(({ unlock }) => unlock === 'passphrase') &&
          // It names partitions by their labels, and by nothing else.
          [...luks, ...swapDevices, ...fileSystems].every(
            ({ device }) => !/^\/dev\/disk\/by-(?!partlabel\/)/.test(device),
          ),
      ),
      main: all,
      plain: all,
      preservation: all,
      'stage1-unsaid': scripted,
      unstable: all,
    },
  );
  // As report.sh asks.
  const asLines = 'builtins.concatStringsSep "\\n"';
  t.equal(await evaluate('lib.systemNames.stage1-unsaid', asLines), scripted.join('\n'));
  t.match(await evaluate('lib.laneNames', asLines), /^25_11\n.*\nmain\n/s);
  t.match(await evaluate('lib.revisions', asLines), /^impermanence unknown$/m);
  const toRefuse = async (lane: string): Promise<unknown> =>
    evaluate(
      `lib.outcomes.${lane}`,
      'all: builtins.filter (name: all.${name}.expected != [ ]) (builtins.attrNames all)',
    );
  t.strictSame(await toRefuse('main'), []);
  t.strictSame(await toRefuse('preservation'), scripted, 'preservation is to refuse scripted stage 1');
  t.strictSame(
    await toRefuse('stage1-unsaid'),
    namesOf(({ stage1, rollback }) => stage1 === 'scripted' && rollback !== undefined),
    'NixOS is to refuse a hook in stage 1 by systemd',
  );
  t.match(await evaluate('lib.outcomes.main.rollback-removed'), {
    refused: [],
    asDeclared: true,
    verdict: 'evaluated',
  });
  t.match(await evaluate('lib.outcomes.stage1-unsaid.btrfs-luks-blank-snapshot-as-published'), {
    refused: ['systemd stage 1 does not support `boot.initrd.postDeviceCommands`. And so on.'],
    asDeclared: true,
    verdict: 'refused, as declared: systemd stage 1 does not support `boot.initrd.postDeviceCommands`',
  });
  t.match(await evaluate('lib.outcomes.preservation.hook-too-early'), {
    refused: [],
    asDeclared: false,
    verdict: 'NOT AS DECLARED: not refused by: This module cannot be used with scripted initrd.',
  });
  t.match(await evaluate('lib.notMapped'), {
    'btrfs-luks-rollback': { 'firmware=secure-boot': /lanzaboote/ },
    'secure-boot-unsigned': { 'firmware=secure-boot': /lanzaboote/ },
  });
});

// ---- the table that a user with Nix and a network fills --------------------------------------------------------------

/** What the script asks Nix, as the beginning of a line of arguments, and what Nix answers. */
const ANSWERS = `case "$*" in
*#lib.laneNames*) printf 'main\\npreservation' ;;
*#lib.revisions*) printf 'nixpkgs abc' ;;
--version) echo 'nix (Nix) 2.26' ;;
*#lib.outcomes.preservation.two.verdict*) printf 'refused, as declared: it is' ;;
*#lib.outcomes.main.two.verdict*) printf '%s' "$VERDICT"; [ -n "$VERDICT" ] || { echo 'error: a | b' >&2; exit 1; } ;;
*#lib.outcomes.*.verdict*) printf evaluated ;;
*#lib.systemNames.*) printf 'one\\ntwo' ;;
*installer-iso) echo 'error: no space' >&2; exit "$ISO" ;;
build*) ;;
*'-- run --all --guest nixos --reports '*)
  mkdir -p "$BOOTED" && ln -sfn "$BOOTED" "\${*: -1}/latest" || exit 9
  echo '2 variants: 2 passed.' >"$BOOTED/summary.txt" ;;
*) exit 9 ;;
esac`;

void t.test('nix/report.sh fills the table with what Nix says, and no more', async (t) => {
  const checkout = path.join(folder, 'checkout');
  const bin = path.join(folder, 'bin');
  for (const each of [bin, path.join(checkout, 'nix'), path.join(checkout, 'deeper')])
    await mkdir(each, { recursive: true });
  await writeFile(path.join(checkout, 'nix/flake.nix'), '{ }');
  await runProgram('git', ['-C', checkout, 'init', '--quiet']);
  await writeFile(path.join(bin, 'nix'), `#!/bin/bash\nshift $(( $# > 2 ? 2 : 0 ))\n${ANSWERS}\n`, {
    mode: 0o755,
  });
  const reports = path.join(checkout, 'reports');
  await mkdir(path.join(reports, 'nixos'), { recursive: true });
  const report = async (
    args: readonly string[],
    answers: { readonly VERDICT?: string; readonly ISO?: string; readonly BOOTED?: string } = {},
  ): Promise<{ status: number | null; rows: string[]; booted: string }> => {
    const { status } = spawnSync('bash', [path.join(NIX_DIR, 'report.sh'), ...args], {
      cwd: path.join(checkout, 'deeper'),
      env: {
        ...process.env,
        VERDICT: 'evaluated',
        ISO: '0',
        BOOTED: path.join(folder, 'booted'),
        ...answers,
        PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      },
    });
    const text = await readFile(path.join(reports, 'nixos.md'), 'utf8').catch(() => '');
    const [tables = '', booted = ''] = text.split('## Installed and booted\n\n');
    return {
      status,
      rows: tables.split('\n').filter((line) => /^\| (?!---|lane|besides)/.test(line)),
      booted,
    };
  };
  const PRESERVATION = [
    '| preservation | one | yes | not run |',
    '| preservation | two | refused, as declared: it is | not run |',
  ];
  t.strictSame(await report([]), {
    status: 0,
    rows: [
      '| main | one | yes | yes |',
      '| main | two | yes | yes |',
      ...PRESERVATION,
      '| installer-iso | yes |',
      '| installer-netboot | yes |',
      '| fstab, crypttab and units of stage 1 as in the debian guest | yes |',
    ],
    booted: '```\n2 variants: 2 passed.\n```\n',
  });
  t.equal((await report(['--build-only', 'main'])).booted, 'not run\n', 'and not what an earlier one left');
  const unbooted = await report(['main'], { BOOTED: '/proc/nothing' });
  t.match(unbooted, { status: 1, booted: 'not run\n' });
  t.strictSame(await report(['--evaluate-only', 'preservation']), {
    status: 0,
    rows: [
      ...PRESERVATION,
      '| installer-iso | not run |',
      '| installer-netboot | not run |',
      '| fstab, crypttab and units of stage 1 as in the debian guest | not run |',
    ],
    booted: 'not run\n',
  });
  const BAD = [
    [{ VERDICT: '' }, '| main | two | NO: error: a / b | not run |'],
    [{ VERDICT: 'NOT AS DECLARED: x' }, '| main | two | NOT AS DECLARED: x | not run |'],
    [{ ISO: '1' }, '| installer-iso | NO: error: no space |'],
  ] as const;
  for (const [answers, row] of BAD) {
    const { status, rows } = await report(['main'], answers);
    t.equal(status, 1, row);
    t.ok(rows.includes(row), `${row}, not ${rows.join('\n')}`);
  }
  t.equal((await report(['--wrong'])).status, 2);
});
