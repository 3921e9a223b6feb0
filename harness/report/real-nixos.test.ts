// A report says how far a run went on real NixOS, and no further.
import t from 'tap';

import type { CheckRecord, VariantRecord } from '../record/index.js';
import { describeGuests } from './real-nixos.js';
import { makeSampleRecord } from './sample-run.js';

const record = makeSampleRecord();
const [sample] = record.variants;
if (sample === undefined) throw new Error('the sample has no variant');
const say = (...variants: readonly Partial<VariantRecord>[]): string =>
  describeGuests({ ...record, variants: variants.map((each) => ({ ...sample, ...each })) });

const check = (id: string, status: CheckRecord['status']): CheckRecord => ({
  ...sample.checks[0]!,
  id,
  status,
});
const made = [{ name: 'make-system', startMs: 0, durationMs: 1 }];
const booted = { guest: 'nixos', phases: made, checks: [check('boots', 'pass')] };

t.test('what only has the shape of NixOS counts for nothing', (t) => {
  const nothing = 'On real NixOS nothing was evaluated, installed or booted.';
  t.equal(say({ guest: 'debian' }), `Guest: debian. ${nothing}`);
  t.equal(
    say({ ...booted, guest: "debian with NixOS's interface" }),
    `Guest: debian with NixOS's interface. ${nothing}`,
  );
  t.equal(say({ ...booted, verdict: 'skip' }), `Guest: nixos. ${nothing}`, 'nor what was skipped');
  t.end();
});

t.test('each step counts where it was taken', (t) => {
  const refused = { ...booted, boots: [], checks: [check('evaluates', 'fail')] };
  const failed = { ...booted, boots: [], checks: [], error: { code: 'NIX_FAILED', message: '' } } as const;
  const uninstalled = { ...booted, boots: [], checks: [] };
  const stuck = { ...booted, checks: [check('boots', 'fail')] };
  const counts = (...variants: readonly Partial<VariantRecord>[]): string =>
    say(...variants).replace(/^Guest: nixos\. On real NixOS, of /, '');
  t.equal(counts(booted), '1 variant: 1 evaluated and built, 1 installed, 1 booted.');
  t.equal(counts(refused), '1 variant: 0 evaluated and built, 0 installed, 0 booted.');
  t.equal(counts(failed), '1 variant: 0 evaluated and built, 0 installed, 0 booted.');
  t.equal(counts(uninstalled), '1 variant: 1 evaluated and built, 0 installed, 0 booted.');
  t.equal(counts(booted, stuck, refused), '3 variants: 2 evaluated and built, 2 installed, 1 booted.');
  t.end();
});
