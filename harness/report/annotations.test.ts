import t from 'tap';

import type { CheckRecord, RunRecord, VariantRecord } from '../record/index.js';
import { renderAnnotations, renderMarkdownSummary } from './index.js';
import { escapeMarkdown, renderMarkdownFence } from './markdown.js';
import { HOSTILE_TAIL, makeSampleRecord } from './sample-run.js';

const record = makeSampleRecord();
const [, late] = record.variants;
if (late === undefined) throw new Error('The made-up run has a failure.');

/** A run of failures, one for each list of checks. */
function failing(...all: readonly (readonly CheckRecord[])[]): RunRecord {
  const variants = all.map((checks, index): VariantRecord => ({
    ...late!,
    id: `v${String(index + 1)}[disk=virtio]`,
    checks,
  }));
  return { ...record, variants };
}

function broken(id: string, line: number, more: Partial<CheckRecord> = {}): CheckRecord {
  return {
    id,
    title: id,
    boot: 2,
    status: 'fail',
    place: { file: 'a.yaml', line, col: 3 },
    found: 'gone',
    ...more,
  };
}

t.test('annotations escape what GitHub would take for its own', (t) => {
  const text = renderAnnotations(
    failing([
      broken('kept:/a,b', 7, {
        place: { file: 'scenarios/a,b:c%/scenario.yaml', line: 7, col: 3 },
        title: '100 %: a, b\nand ::error::c',
        found: '50 % of "x", y: gone\nsecond line\r\n::warning::no\u001b[31m',
        expected: '100 %',
      }),
    ]),
  );
  t.equal(
    text,
    '::error file=scenarios/a%2Cb%3Ac%25/scenario.yaml,line=7,col=3,title=100 %25%3A a%2C b%0Aand %3A%3Aerror%3A%3Ac::' +
      '[kept:/a,b] broken after boot 2: 50 %25 of "x", y: gone%0Asecond line%0A::warning::no%0AExpected: 100 %25%0A' +
      `In v1[disk=virtio]%0ARepeat: ${late.repeat}\n`,
  );
  for (const line of renderAnnotations({
    ...record,
    variants: record.variants.map((variant) => ({
      ...variant,
      reason: HOSTILE_TAIL,
      checks: variant.checks.map((check) => ({ ...check, title: HOSTILE_TAIL, found: HOSTILE_TAIL })),
    })),
  }).split('\n')) {
    t.match(
      line,
      /^(::(error|warning|notice) [^:\p{Cc}]*::[^\p{Cc}]*)?$/u,
      'one command a line, whatever the text',
    );
  }
  t.end();
});

t.test('a promise that several variants break is told once', (t) => {
  const lines = renderAnnotations(
    failing(...Array.from({ length: 7 }, () => [broken('root-wiped', 4), broken('kept:/x', 9)])),
  )
    .trimEnd()
    .split('\n');
  t.equal(lines.length, 2);
  t.match(lines[0], /In v1\[disk=virtio\], v2\[disk=virtio\], .*v5\[disk=virtio\] and 2 more%0A/);
  t.end();
});

t.test('no more than GitHub shows, and the rest is counted', (t) => {
  const many = Array.from({ length: 30 }, (_, index) => broken(`kept:/${String(index)}`, index + 1));
  const lines = renderAnnotations(failing(many)).trimEnd().split('\n');
  t.equal(lines.length, 10);
  t.equal(
    lines[9],
    '::error title=21 more findings::21 more findings in the summary of this job and in report.html.',
  );
  t.equal(
    renderAnnotations(failing(many.slice(0, 10)))
      .trimEnd()
      .split('\n').length,
    10,
  );
  t.notMatch(renderAnnotations(failing(many.slice(0, 10))), 'more finding');
  t.end();
});

t.test('what turns a run red is an error, a known bug is a notice, the rest is silent', (t) => {
  const levels = (name: string): string[] =>
    renderAnnotations({
      ...record,
      variants: record.variants.filter(({ scenario }) => scenario.name === name),
    })
      .split('\n')
      .flatMap((line) => /^::(\w+) /.exec(line)?.[1] ?? []);
  t.strictSame(levels('btrfs-luks-rollback'), [], 'passed');
  t.strictSame(levels('nixos-flake'), [], 'skipped');
  t.strictSame(levels('nested-two-levels'), ['notice']);
  t.strictSame(levels('rollback-too-late'), ['error', 'error', 'error']);
  t.strictSame(levels('tmpfs-luks'), ['error', 'error'], 'the error, and the promise that was not looked at');
  t.match(
    renderAnnotations(record),
    '::error file=scenarios/tmpfs-luks/scenario.yaml,line=3,col=1,title=TIMEOUT',
  );
  const unproved = [broken('a', 1), broken('b', 2, { status: 'error' })];
  t.match(renderAnnotations(failing(unproved)), /^::error .*\n::warning .*\[b\] not looked at/);
  const bugGone = { ...late, checks: [], reason: 'The declared bug did not show' };
  t.match(
    renderAnnotations({ ...record, variants: [bugGone] }),
    /^::error file=scenarios\/bugs\/rollback-too-late\/scenario\.yaml,line=1,col=1,.*::The declared bug did not show/,
  );
  t.end();
});

t.test('the page of a job', (t) => {
  const text = renderMarkdownSummary(record, { folder: 'reports/r' });
  t.match(
    text,
    '**5 variants: 1 passed, 1 failed, 1 could not be judged, 1 failed as declared, 1 skipped.**',
  );
  t.ok(
    text.indexOf('| FAIL | rollback-too-late') < text.indexOf('| pass | btrfs-luks'),
    'what is wrong first',
  );
  t.match(
    text,
    '<summary>\n\nFAIL rollback-too-late\\[disk=virtio\\]\n\n</summary>\n\n```text\nFAIL  rollback-too-late[disk=virtio]',
  );
  t.match(text, 'reports/r/rollback-too-late-disk-virtio/');

  const nasty = '| a `b` <script>alert(1)</script> [x](y) *z*\n</details>\n```\n&amp;';
  const poisoned = renderMarkdownSummary(
    {
      ...record,
      variants: record.variants.map((variant) => ({
        ...variant,
        reason: nasty,
        checks: variant.checks.map((check) => ({ ...check, found: nasty })),
      })),
    },
    { folder: 'r' },
  );
  const outside = poisoned.replace(/^(`{3,})text\n[^]*?\n\1$/gm, '');
  t.notMatch(outside, /(?<!\\)<script/, 'HTML of others is text');
  t.equal(
    outside.match(/^<\/details>$/gm)?.length,
    outside.match(/^<details>/gm)?.length,
    'boxes end where they should',
  );
  for (const row of outside.split('\n').filter((line) => line.startsWith('|')))
    t.equal(row.replace(/\\./g, '').split('|').length, 9, 'seven cells in every row');
  t.end();
});

t.test('a page that is too large is cut, and says so', (t) => {
  const long = Array.from({ length: 200 }, (_, index) =>
    broken(`kept:/${String(index)}`, 1, { evidence: ['x'.repeat(2_000)] }),
  );
  const text = renderMarkdownSummary(failing(...Array.from({ length: 10 }, () => long)), { folder: 'r' });
  t.ok(Buffer.byteLength(text) < 1024 * 1024, 'GitHub takes it');
  t.match(text, /\n\d more did not fit here: report\.html has all\.\n$/);
  t.end();
});

t.test('Markdown', (t) => {
  t.equal(escapeMarkdown('a|b\nc *d* <e> \\ `f`'), 'a\\|b\\\\nc \\*d\\* \\<e\\> \\\\ \\`f\\`');
  t.strictSame(renderMarkdownFence('a\n````\nb\u001b[0m\n'), ['`````text', 'a', '````', 'b', '`````']);
  t.end();
});
