import {
  createRecorder,
  type BootRecord,
  type CheckRecord,
  type LeaksRecord,
  type RunEvent,
  type RunRecord,
  type StampedEvent,
  type VariantRecord,
} from '../record/index.js';

/**
 * A made-up run for the tests of this folder, with one variant of every verdict that one attempt can have, and texts that break careless
 * formats: colours, NUL, a hash, a brace at the end, line feeds, a quotation mark, XML.
 */

export const HOSTILE_TAIL =
  '\u001b[0;1;31mFAILED\u001b[0m to mount <sysroot> & "friends" ]]>\n...\n---\n\u0000\u0000 [  9.1] \u202edne\n# not a comment \\ {';

type VariantEnd = Omit<Extract<RunEvent, { type: 'variant-end' }>, 'type' | 'variant'>;

interface SampleVariant {
  readonly id: string;
  readonly title: string;
  readonly file: string;
  readonly axes: VariantRecord['axes'];
  readonly boots: number;
  readonly checks: readonly CheckRecord[];
  readonly leaks?: LeaksRecord;
  readonly end: VariantEnd;
}

const FILE = 'scenarios/btrfs-luks-rollback/scenario.yaml';
const LATE = 'scenarios/bugs/rollback-too-late/scenario.yaml';
const CAUSE =
  'The rollback ran after /sysroot was mounted: it replaced the subvolume, but the system went on running on the ' +
  'old one. Add before = [ "sysroot.mount" ] to boot.initrd.systemd.services.rollback.';

function good(id: string, title: string, look: { found: string; boot?: number; line: number }): CheckRecord {
  const { boot, line, found } = look;
  return {
    id,
    title,
    ...(boot === undefined ? {} : { boot }),
    status: 'pass',
    place: { file: FILE, line, col: 3 },
    found,
  };
}

/** What every healthy boot shows; the first one has no older root to compare with. */
function goodBoot(boot: number): CheckRecord[] {
  const made = `root is 5c0e…0${String(boot)}, made in this boot`;
  const order = '4.102 s < 5.310 s < 6.027 s';
  return [
    ...(boot === 1
      ? []
      : [good('root-wiped', 'The root is new after every boot', { found: made, boot, line: 31 })]),
    good('kept:/home', '/home keeps its files', {
      found: '9 files unchanged in content, owner, mode and time',
      boot,
      line: 24,
    }),
    good('rollback-order', 'The disk is unlocked, then rolled back, then mounted', {
      found: order,
      boot,
      line: 40,
    }),
  ];
}

function lateBoot(boot: number): CheckRecord[] {
  const folder = `boot-${String(boot)}`;
  return [
    {
      id: 'rollback-order',
      title: 'The disk is unlocked, then rolled back, then mounted',
      boot,
      status: 'fail',
      place: { file: LATE, line: 6, col: 5 },
      expected: 'systemd-cryptsetup@cryptfs.service < rollback.service < sysroot.mount',
      found: 'sysroot.mount (5.310 s) was done before rollback.service (5.902 s) began',
      cause: CAUSE,
      evidence: [
        '[    5.310142] systemd[1]: Mounted sysroot.mount - /sysroot.',
        '[    5.902377] systemd[1]: Starting rollback.service...',
      ],
      files: [`${folder}/journal.txt`],
    },
    {
      id: 'root-wiped',
      title: 'The root is new after every boot',
      boot,
      status: boot === 1 ? 'pass' : 'fail',
      place: { file: LATE, line: 6, col: 5 },
      found:
        boot === 1
          ? 'root was made in this boot'
          : `/ is still the subvolume that was made in boot ${String(boot - 1)} (ID 261, now without a name)`,
      ...(boot === 1
        ? {}
        : {
            expected: 'a root subvolume made in this boot',
            cause: CAUSE,
            files: [`${folder}/evidence.json`],
          }),
    },
    {
      id: 'kept:/etc/nixos',
      title: '/etc/nixos keeps its files #1 {',
      boot,
      status: boot === 2 ? 'fail' : 'pass',
      place: { file: LATE, line: 12, col: 9 },
      found:
        boot === 2
          ? '3 of 5 files are gone:\n"name with space", "two\\nlines", deep/er'
          : '5 files unchanged',
      ...(boot === 2 ? { expected: '5 files', files: [`${folder}/evidence.json`] } : {}),
    },
  ];
}

const SAMPLES: readonly SampleVariant[] = [
  {
    id: 'btrfs-luks-rollback[disk=virtio]',
    title: 'LUKS and btrfs, the root made anew by a rollback service',
    file: FILE,
    axes: { disk: 'virtio' },
    boots: 3,
    checks: [
      ...[1, 2, 3].flatMap(goodBoot),
      good('disk-clean', 'The powered-off disk is clean', {
        found: 'btrfs check: no error; LUKS header intact',
        line: 9,
      }),
    ],
    leaks: {
      lost: ['/var/lib/app', '/etc/two\nlines # SKIP', '/root'],
      remade: [],
      orphans: ['/persist/old'],
      stores: ['/persist'],
      missing: [],
      file: 'leaks.json',
    },
    end: { verdict: 'pass', machineCpuMs: 101_000 },
  },
  {
    id: 'rollback-too-late[disk=virtio]',
    title: 'The rollback is ordered after sysroot.mount',
    file: LATE,
    axes: { disk: 'virtio' },
    boots: 3,
    checks: [1, 2, 3].flatMap(lateBoot),
    leaks: { stores: [], missing: ['The root was not listed at the start of boot 3.'], file: 'leaks.json' },
    end: { verdict: 'fail', machineCpuMs: 98_000 },
  },
  {
    id: 'tmpfs-luks[disk=nvme]',
    title: 'tmpfs root, LUKS and ext4 for /nix',
    file: 'scenarios/tmpfs-luks/scenario.yaml',
    axes: { disk: 'nvme' },
    boots: 1,
    checks: [
      {
        id: 'swap-active',
        title: 'Swap is on',
        boot: 1,
        status: 'error',
        place: { file: 'scenarios/tmpfs-luks/scenario.yaml', line: 20, col: 1 },
        found: 'swapon did not answer',
      },
    ],
    end: {
      verdict: 'error',
      error: {
        code: 'TIMEOUT',
        message:
          'The machine did not answer within 120 s after boot 2 began (stage 1). The last line was "Reached target initrd-root-device.target".',
        hint: 'Look at console.txt: the last lines say what it waits for.',
        place: { file: 'scenarios/tmpfs-luks/scenario.yaml', line: 3, col: 1 },
        details: HOSTILE_TAIL,
      },
      machineCpuMs: 61_000,
    },
  },
  {
    id: 'nixos-flake[disk=virtio]',
    title: 'The same layout as a NixOS flake',
    file: 'scenarios/nixos-flake/scenario.yaml',
    axes: { disk: 'virtio' },
    boots: 0,
    checks: [],
    end: {
      verdict: 'skip',
      reason: 'The nixos guest needs a binary cache, and none answers #offline',
      machineCpuMs: 0,
    },
  },
  {
    id: 'nested-two-levels[disk=virtio]',
    title: 'Subvolumes nested two deep are not deleted',
    file: 'scenarios/bugs/nested/scenario.yaml',
    axes: { disk: 'virtio' },
    boots: 2,
    checks: [
      ...goodBoot(1),
      {
        id: 'gone:/',
        title: 'What was put on / is gone',
        boot: 2,
        status: 'fail',
        place: { file: 'scenarios/bugs/nested/scenario.yaml', line: 8, col: 3 },
        found: 'nested/deep is still there',
      },
    ],
    end: {
      verdict: 'known-bug',
      reason: 'btrfs subvolume list -o shows one level only',
      machineCpuMs: 70_000,
    },
  },
];

/** The events of the made-up run, at made-up times. */
export function makeSampleEvents(): StampedEvent[] {
  const events: StampedEvent[] = [];
  let atMs = 0;
  const emit = (event: RunEvent): void => {
    events.push({ atMs, wall: new Date(Date.UTC(2026, 2, 1, 10, 0, 0) + atMs).toISOString(), event });
  };
  const work = (
    name: string,
    durationMs: number,
    options: { variant?: string; boot?: number; originMs: number },
  ): void => {
    const { originMs, variant, boot } = options;
    const of = variant === undefined ? {} : { variant };
    const on = boot === undefined ? {} : { boot };
    emit({ type: 'phase-start', ...of, name, ...on });
    const startMs = atMs - originMs;
    atMs += durationMs / 2;
    emit({
      type: 'console',
      ...of,
      line: `[    2.${String(durationMs)}] \u001b[32msystemd\u001b[0m[1]: ${name} goes on, at some length: /dev/disk/by-partlabel/cryptfs`,
    });
    atMs += durationMs / 2;
    emit({ type: 'phase-end', ...of, phase: { name, ...on, startMs, durationMs } });
  };

  emit({
    type: 'run-start',
    run: '20260301-100000',
    command: 'imperm run --all',
    folder: 'reports/20260301-100000',
  });
  work('build-installer', 41_300, { originMs: 0 });
  emit({
    type: 'host',
    host: {
      accelerator: 'tcg',
      acceleratorReason: '/dev/kvm opens, but no guest reaches its first byte',
      qemu: '10.0.13',
      firmware: 'OVMF 2025.02',
      cpus: 2,
      memoryMiB: 7950,
      node: 'v20.20.2',
    },
  });
  emit({ type: 'note', level: 'warn', text: 'Time limits are multiplied by 8.' });

  for (const { id, title, file, axes, boots, checks, leaks, end } of SAMPLES) {
    const name = id.replace(/\[.*/, '');
    const originMs = atMs;
    emit({
      type: 'variant-start',
      variant: id,
      scenario: { name, title, file },
      axes,
      guest: 'debian',
      target: 'qemu',
      folder: id.replace(/[[\]=]+/g, '-').replace(/-$/, ''),
      repeat: `imperm run ${name} --variant disk=${axes['disk'] ?? ''}`,
    });
    if (boots > 0) work('install', 13_200, { variant: id, originMs });
    for (let boot = 1; boot <= boots; boot += 1) {
      const how: BootRecord['how'] = boot === 1 ? 'power-on' : boot === 2 ? 'reboot' : 'power-cut';
      work('stage-1', 9_800 + boot * 10, { variant: id, boot, originMs });
      emit({ type: 'boot', variant: id, boot: { number: boot, how, bootId: `b00t-${String(boot)}` } });
      work('probe', 1_700, { variant: id, boot, originMs });
      atMs += 40;
      for (const check of checks) if (check.boot === boot) emit({ type: 'check', variant: id, check });
    }
    for (const check of checks) if (check.boot === undefined) emit({ type: 'check', variant: id, check });
    if (leaks !== undefined) emit({ type: 'leaks', variant: id, leaks });
    if (end.verdict === 'error') {
      emit({ type: 'phase-start', variant: id, name: 'stage-1', boot: 2 });
      atMs += 30_000;
      emit({
        type: 'silence',
        variant: id,
        seconds: 30,
        lastLine: 'Reached target initrd-root-device.target',
      });
      atMs += 90_000;
    }
    emit({ type: 'variant-end', variant: id, ...end });
  }
  emit({ type: 'run-end', interrupted: false });
  return events;
}

export function makeSampleRecord(): RunRecord {
  const recorder = createRecorder({ version: '0.1.0' });
  for (const stamped of makeSampleEvents()) recorder.receive(stamped);
  return recorder.record();
}
