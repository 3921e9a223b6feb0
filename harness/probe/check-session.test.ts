// What the harness did with a booted system, judged.
import t from 'tap';

import { loadScenario, type Scenario, type ScenarioPromise } from '../scenario/index.js';
import { checkLogins, checkScript, checkUnlocked, checkUnmounted } from './check-session.js';
import { checkSwapKey } from './check-system.js';
import { collectChecks, renderScript } from './collect-checks.js';
import type { BootContext } from './finding.js';

const place = { file: 'x.yaml', line: 1, col: 1 };
const scenario = await loadScenario('scenarios/btrfs-luks-rollback/scenario.yaml');

type Given = {
  boot?: number;
  how?: BootContext['how'];
  prompts?: number;
  journal?: BootContext['evidence']['journal'];
  scripts?: BootContext['session']['scripts'];
  mountMessages?: readonly string[];
  tables?: [string, string][];
  before?: [string, string][];
};

function contextOf(given: Given): BootContext {
  const evidence = (tables: [string, string][] = []): unknown => ({
    boot: given.boot ?? 2,
    mountMessages: given.mountMessages ?? [],
    journal: given.journal ?? [],
    mapperTables: new Map(tables),
  });
  return {
    scenario,
    evidence: evidence(given.tables) as BootContext['evidence'],
    ...(given.before === undefined ? {} : { previous: evidence(given.before) as BootContext['evidence'] }),
    session: { prompts: given.prompts ?? 0, scripts: given.scripts ?? new Map() },
    how: given.how ?? 'reboot',
    planted: [],
    installed: [],
  };
}

function promiseOf<K extends ScenarioPromise['kind']>(
  kind: K,
  more: object,
): Extract<ScenarioPromise, { kind: K }> {
  return { kind, id: kind, title: '', place, ...more } as unknown as Extract<ScenarioPromise, { kind: K }>;
}

t.test('stage 1 asks where it has to, and nowhere else', (t) => {
  const look = (by: 'passphrase' | 'key-file' | 'tpm2', prompts: number, boot: number): string =>
    checkUnlocked(promiseOf('unlocked', { by }), contextOf({ prompts, boot })).status;
  t.equal(look('passphrase', 1, 2), 'pass');
  t.equal(look('passphrase', 0, 2), 'fail');
  t.equal(look('key-file', 0, 1), 'pass');
  t.equal(look('key-file', 1, 1), 'fail');
  t.equal(look('tpm2', 1, 1), 'pass', 'a TPM is enrolled in the first boot');
  t.equal(look('tpm2', 1, 2), 'fail');
  t.equal(look('tpm2', 0, 2), 'pass');
  const journal = [
    { monotonicUs: 1, message: 'TPM policy does not match', writer: 'systemd-cryptsetup@cryptfs.service' },
    { monotonicUs: 2, message: 'something else', writer: 'rollback.service' },
  ];
  const { evidence } = checkUnlocked(
    promiseOf('unlocked', { by: 'tpm2' }),
    contextOf({ prompts: 1, boot: 2, journal }),
  );
  t.strictSame(evidence, ['TPM policy does not match'], 'with the words of what was to unlock');
  t.end();
});

t.test('a login has to work with the password, and with no other', (t) => {
  const look = (acceptsRight: boolean, acceptsWrong: boolean) =>
    checkLogins(scenario, 2, new Map([['root', { acceptsRight, acceptsWrong, transcript: ['login: '] }]]));
  t.match(look(true, false), [{ status: 'pass', boot: 2, promise: { id: 'login:root' } }]);
  t.match(look(false, false), [
    { status: 'fail', found: /was refused/, cause: /\/persist\/passwords\/root/ },
  ]);
  t.match(look(true, true), [{ status: 'fail', found: /wrong password was accepted/ }]);
  t.strictSame(checkLogins(scenario, 2, new Map()), [], 'nobody tried');
  t.end();
});

t.test('what had to be recovered after a reboot was not unmounted', (t) => {
  const recovered = ['EXT4-fs (dm-0): recovery complete'];
  const look = (how: BootContext['how'], mountMessages: readonly string[]) =>
    checkUnmounted(promiseOf('unmounted-cleanly', {}), contextOf({ how, mountMessages }));
  t.match(look('reboot', recovered), { status: 'fail', found: recovered[0] });
  t.match(look('reboot', ['BTRFS info (device dm-0): start tree-log replay']), { status: 'fail' });
  t.match(
    look('reboot', ['0x41: Dirty bit is set. Fs was not properly unmounted and some data may be corrupt.']),
    {
      status: 'fail',
    },
  );
  t.match(look('reboot', ['[Sat Nov 21 10:00:00 UTC 2026] /dev/mapper/crypted: recovering journal']), {
    status: 'fail',
  });
  t.match(look('reboot', ['EXT4-fs (dm-0): mounted filesystem']), { status: 'pass' });
  t.match(look('reboot', ['BTRFS info (device dm-0): first mount of filesystem']), { status: 'pass' });
  t.throws(() => look('reboot', []), { code: 'EVIDENCE_MISSING' }, 'no evidence is no pass');
  t.equal(look('power-cut', recovered), undefined, 'nothing is promised of a power cut');
  t.end();
});

t.test('swap has another key in every boot', (t) => {
  const promise = promiseOf('swap-key-random', { mappers: ['swap'] });
  t.match(checkSwapKey(promise, contextOf({})), { status: 'fail', cause: /mkswap-swap.service/ });
  t.match(checkSwapKey(promise, contextOf({ tables: [['swap', 'a']], before: [['swap', 'a']] })), {
    status: 'fail',
    found: /has the same one/,
  });
  t.match(checkSwapKey(promise, contextOf({ tables: [['swap', 'b']], before: [['swap', 'a']] })), {
    status: 'pass',
  });
  t.end();
});

t.test("the scenario's own check decides by its exit code, from its boot on", (t) => {
  const script = { file: 'check.sh', text: 'true', place };
  const promise = promiseOf('check', { id: 'check:x', script, fromBoot: 2 });
  const look = (boot: number, exitCode: number) =>
    checkScript(
      promise,
      contextOf({ boot, scripts: new Map([['check:x', { exitCode, output: 'one\nlast word\n' }]]) }),
    );
  t.equal(look(1, 1), undefined);
  t.match(look(2, 0), { status: 'pass', found: 'last word' });
  t.match(look(2, 3), {
    status: 'fail',
    expected: /^check\.sh ends/,
    found: 'exit code 3: last word',
    evidence: ['one', 'last word'],
  });
  const inline = promiseOf('check', { id: 'check:x', script: { ...script, file: place.file }, fromBoot: 1 });
  const where = `${place.file}:${String(place.line)}`;
  t.match(checkScript(inline, contextOf({})), { expected: `${where} ends with exit code 0` });
  t.match(checkScript(promise, contextOf({})), { status: 'fail', found: 'it was not run' });

  const of: Scenario = { ...scenario, promises: [promise] };
  t.equal(collectChecks(of, 1, 'boundary'), undefined, 'nothing is due');
  t.match(collectChecks(of, 2, 'boundary')?.script, /check:x/);
  t.match(renderScript('echo hello', 3), /BOOT=3/);
  t.end();
});
