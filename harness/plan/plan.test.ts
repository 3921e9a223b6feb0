// What will be done, told before anything is.
import t from 'tap';

import { loadScenarios, type Variant } from '../scenario/index.js';
import { findStep, nameSteps } from './find-step.js';
import { planVariant, renderPlan } from './plan.js';

const [scenario] = await loadScenarios(['scenarios/btrfs-luks-rollback/scenario.yaml']);
const variants = scenario?.variants ?? [];
const facts = { guest: 'debian', memoryMiB: 8192 } as const;

function variantOf(luks: string): Variant {
  const found = variants.find(({ axes }) => axes.luks === luks);
  if (found === undefined) throw new Error(`no variant with luks=${luks}`);
  return found;
}

function linesOf(luks: string): string[] {
  const text = renderPlan(planVariant(variantOf(luks), facts));
  return text.split('\n').flatMap((line) => /^ +\d+\. (.*)$/.exec(line)?.[1] ?? []);
}

void t.test('a passphrase is typed in every boot', (t) => {
  t.strictSame(linesOf('passphrase'), [
    'install with scenarios/btrfs-luks-rollback/install.sh',
    'boot 1: power on, type the passphrase, gather evidence, plant canaries',
    'boot 2: reboot in good order, type the passphrase, gather evidence, plant canaries',
    'boot 3: cut the power, then power on, type the passphrase, gather evidence, plant canaries',
    'power off in good order',
    'read the powered-off disk in another machine',
  ]);
  t.end();
});

void t.test('a key file is added after the install', (t) => {
  const lines = linesOf('key-file');
  t.equal(lines[0], 'install with scenarios/btrfs-luks-rollback/install.sh, add the key file to cryptfs');
  t.equal(lines[1], 'boot 1: power on, unlock with the key file, gather evidence, plant canaries');
  t.end();
});

void t.test('a TPM is enrolled once, in the first boot', (t) => {
  t.strictSame(linesOf('tpm2').slice(1, 5), [
    'boot 1: power on, type the passphrase, gather evidence, plant canaries',
    'enrol the TPM for cryptfs, as its owner does once',
    'boot 2: reboot in good order, unlock with the TPM, gather evidence, plant canaries',
    'boot 3: cut the power, then power on, unlock with the TPM, gather evidence, plant canaries',
  ]);
  t.end();
});

void t.test('a firmware is given its keys once, in the first boot', (t) => {
  const found = variants.find(({ axes }) => axes.firmware === 'secure-boot');
  if (found === undefined) throw new Error('no variant with Secure Boot');
  const text = renderPlan(planVariant(found, facts));
  t.match(text, /boot 1: power on, see the firmware take the keys of Secure Boot, /);
  t.equal(text.match(/take the keys/g)?.length, 1);
  t.end();
});

void t.test('what cannot run here is skipped with the reason', (t) => {
  const variant = variantOf('passphrase');
  const only = { ...variant, scenario: { ...variant.scenario, guests: ['debian'] as const } };
  t.match(
    renderPlan(planVariant(only, { ...facts, guest: 'nixos' })),
    /: skipped, it is for the guest debian, and the guest of this run is nixos/,
  );
  t.match(renderPlan(planVariant(variant, { ...facts, memoryMiB: 512 })), /this host has 512 MiB left/);
  t.end();
});

void t.test('what the target cannot do is skipped in its own words, and nothing else is', (t) => {
  const skipsFor = (limits: Parameters<typeof planVariant>[1]['limits']): string[] =>
    variants.flatMap((variant) => {
      const plan = planVariant(variant, { ...facts, ...(limits === undefined ? {} : { limits }) });
      return 'skip' in plan ? [`${plan.skip}: ${variant.id}`] : [];
    });
  t.strictSame(skipsFor(undefined), []);
  const cases = [
    ['nvme', 'disk=nvme'],
    ['large-sectors', 'sectorSize=4096'],
    ['tpm', 'luks=tpm2'],
    ['secure-boot', 'firmware=secure-boot'],
  ] as const;
  for (const [limit, choice] of cases) {
    const having = variants.filter(({ id }) => id.includes(choice));
    t.ok(having.length > 0, choice);
    t.strictSame(
      skipsFor({ [limit]: 'not here' }),
      having.map(({ id }) => `not here: ${id}`),
    );
  }
  t.end();
});

void t.test('what a real machine lacks', (t) => {
  const skipOf = (variant: Variant, more: Partial<Parameters<typeof planVariant>[1]>): string | undefined => {
    const plan = planVariant(variant, { ...facts, ...more });
    return 'skip' in plan ? plan.skip : undefined;
  };
  const typed = variantOf('passphrase');
  const without = (kinds: readonly string[]): Variant => {
    const { scenario } = typed;
    const { luks } = variantOf('key-file').scenario.system;
    return {
      ...typed,
      scenario: {
        ...scenario,
        system: { ...scenario.system, luks },
        steps: scenario.steps.filter(({ kind }) => !kinds.includes(kind)),
      },
    };
  };
  const no = { limits: { console: 'no console', 'power-cut': 'no switch' } };
  t.equal(skipOf(typed, no), 'no console');
  t.equal(skipOf(without([]), no), 'no switch');
  t.equal(skipOf(without(['power-cut']), no), undefined);
  t.equal(skipOf(variantOf('tpm2'), { limits: { console: 'no console' } }), 'no console');

  const hibernated = { ...typed, scenario: { ...typed.scenario, steps: [{ kind: 'hibernate' as const }] } };
  t.equal(skipOf(hibernated, { limits: { hibernation: 'never' } }), 'never');
  t.equal(
    skipOf(typed, { limits: { hibernation: 'never', image: 'never', 'untouched-disks': 'never' } }),
    undefined,
  );
  t.equal(skipOf(typed, { limits: { 'nixos-guest': 'never' } }), undefined);
  t.equal(skipOf(typed, { limits: { 'nixos-guest': 'never' }, guest: 'nixos' }), 'never');
  const virtio = variants.filter((each) => skipOf(each, { limits: { 'virtual-disks': 'real' } }) === 'real');
  t.strictSame(
    virtio.map(({ id }) => id),
    variants.filter(({ id }) => id.includes('disk=virtio')).map(({ id }) => id),
  );

  const needed = (typed.scenario.disks[0]?.sizeMiB ?? 0) * 2 ** 20;
  t.equal(skipOf(typed, { disks: new Map([['main', needed]]) }), undefined);
  t.match(skipOf(typed, { disks: new Map([['main', needed - 1]]) }), /has 12288 MiB, .* only 12287 MiB/);
  t.match(skipOf(typed, { disks: new Map([['other', needed]]) }), /no disk of that name/);
  t.end();
});

void t.test('real NixOS has no Secure Boot of its own', (t) => {
  const nixos = { ...facts, guest: 'nixos' } as const;
  const secure = variants.find(({ axes }) => axes.firmware === 'secure-boot');
  if (secure === undefined) throw new Error('no variant with Secure Boot');
  t.match(renderPlan(planVariant(secure, nixos)), /: skipped, NixOS has no Secure Boot of its own/);
  t.notMatch(renderPlan(planVariant(variantOf('passphrase'), nixos)), /skipped/);
  t.end();
});

void t.test('who has Nix modules of its own is not run without them', async (t) => {
  const [file] = await loadScenarios(['scenarios/bugs/machine-id-in-etc/scenario.yaml']);
  const [variant] = file?.variants ?? [];
  if (variant === undefined) throw new Error('no variant');
  t.equal(
    renderPlan(planVariant(variant, facts)),
    'machine-id-in-etc[stage1=systemd,disk=virtio,sectorSize=512]: skipped, it has a Nix module of its own ' +
      '(dbus-broker.nix), which the guest debian, made of Debian packages, cannot evaluate; where there is Nix, ' +
      '`imperm run --guest nixos` runs it\n',
  );
  t.ok('steps' in planVariant(variant, { ...facts, guest: 'nixos' }), 'the other guest can');
});

void t.test('an image is made where others are installed', async (t) => {
  const files = ['btrfs-image', 'btrfs-image-as-published', 'btrfs-luks-rollback'];
  const loaded = await loadScenarios(files.map((name) => `scenarios/${name}/scenario.yaml`));
  const [image = '', fault = '', installed = ''] = loaded.map(({ variants }) =>
    variants[0] === undefined ? '' : renderPlan(planVariant(variants[0], facts)),
  );
  t.match(
    image,
    / 1\. make the image: ESP of 128 MiB, nixos of at least 1024 MiB with @home, @nix, @persistent; read it/,
  );
  t.notMatch(image, /install with/);
  t.match(fault, /@persistent, all of it owned by 1000:100;/);
  t.match(installed, / 1\. install with scenarios\/btrfs-luks-rollback\/install.sh/);
  t.notMatch(installed, /make the image/);
});

void t.test('a boot that is cut is none that counts', async (t) => {
  const [file] = await loadScenarios(['scenarios/btrfs-image-power-cut/scenario.yaml']);
  const [variant] = file?.variants ?? [];
  if (variant === undefined) throw new Error('no variant');
  const text = renderPlan(planVariant(variant, facts));
  t.match(text, / 2\. power on, cut the power when it says "Growing partition"/);
  t.match(text, / 5\. .*"Setting the system profile"\n +6\. boot 1: power on,/);
  t.match(text, /boot 2: cut the power, then power on/);
});

void t.test('a machine is off before a fault, and faults that stand together are one step', (t) => {
  const place = { file: 'x', line: 1, col: 1 };
  const fault = (title: string) =>
    ({ kind: 'fault', fault: { kind: 'delete-subvolume', subvolume: 'x', title, place } }) as const;
  const variant = variantOf('key-file');
  const steps = [
    fault('early'),
    { kind: 'install' },
    fault('first'),
    fault('second'),
    { kind: 'boot' },
    fault('orderly'),
    { kind: 'reboot' },
    fault('abrupt'),
    { kind: 'power-cut' },
    { kind: 'power-off' },
    fault('late'),
  ] as const;
  const text = renderPlan(planVariant({ ...variant, scenario: { ...variant.scenario, steps } }, facts));
  const said = text.split('\n').flatMap((line) => /^ +\d+\. ([^,]*)/.exec(line)?.[1] ?? []);
  t.strictSame(said, [
    'early',
    'install with scenarios/btrfs-luks-rollback/install.sh',
    'first; second',
    'boot 1: power on',
    'power off in good order',
    'orderly',
    'boot 2: power on',
    'cut the power',
    'abrupt',
    'boot 3: power on',
    'power off in good order',
    'late',
    'read the powered-off disk in another machine',
  ]);
  t.end();
});

void t.test('a step is found by its number, its boot or its kind', (t) => {
  const plan = planVariant(variantOf('tpm2'), facts);
  const steps = 'skip' in plan ? [] : plan.steps;
  const names = ['install', 'boot 1', 'enrol-tpm2', 'boot 2', 'boot 3', 'power-off', 'inspect'];
  t.strictSame(nameSteps(steps), names);
  const numberOf = (name: string): number => steps.findIndex((step) => step === findStep(steps, name)) + 1;
  t.strictSame(names.map(numberOf), [1, 2, 3, 4, 5, 6, 7], 'as `imperm plan` numbers them');
  t.strictSame(['1', '4', 'boot-3'].map(numberOf), [1, 4, 5]);
  for (const name of ['0', '8', 'boot 4', 'boot', 'boot 22', 'hibernate', ''])
    t.equal(findStep(steps, name)?.kind, name === 'boot' ? 'boot' : undefined, name);
  t.end();
});
