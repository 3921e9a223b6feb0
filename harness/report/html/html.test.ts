// The page: everything of the record is on it, nothing of a machine's text gets out of its place, and no other file is needed.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t, { type Test } from 'tap';

import { SAMPLE_INSTALLED, SAMPLE_PASSED, writeSampleEvidence } from '../sample-evidence.js';
import { makeSampleRecord } from '../sample-run.js';
import { changesOf } from './disk-story.js';
import { readEvidence } from './evidence.js';
import { renderHtml } from './render-html.js';

const record = makeSampleRecord();

/** Evidence of two boots and the disk, as a run writes it. */
async function folderOf(test: Test, change: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = test.testdir({});
  await writeSampleEvidence(folder, change);
  return folder;
}

t.test('every variant is in the table and has a part of its own', async (t) => {
  const html = await renderHtml(record, await folderOf(t));
  t.match(html, /^<!doctype html>\n<html lang="en">/);
  for (const { id, verdict, repeat } of record.variants) {
    const anchor = `variant-${encodeURIComponent(id)}`;
    t.ok(html.includes(`href="#${anchor}"`), `${id} is in the table`);
    t.ok(html.includes(`<article id="${anchor}" data-verdict="${verdict}"`), `${id} has its part`);
    t.ok(html.includes(repeat), 'and can be repeated');
  }
  t.match(html, /<h1>[^<]*1 passed/);
  t.equal(html.match(/<tr data-verdict/g)?.length, record.variants.length);
  for (const each of ['tr', 'article']) {
    const shown = [...html.matchAll(new RegExp(`<${each}[^>]* data-verdict="([a-z-]+)"`, 'g'))];
    const order = [...new Set(shown.map(([, verdict]) => verdict))];
    const all = ['fail', 'error', 'flaky', 'known-bug', 'pass', 'skip'];
    t.strictSame(
      order,
      all.filter((verdict) => order.includes(verdict)),
      'what is to be looked at comes first',
    );
    t.ok(order.length > 3);
  }
});

t.test('nothing is loaded, and nothing of a machine is markup', async (t) => {
  const html = await renderHtml(record, await folderOf(t));
  t.notMatch(html, /<link|@import|url\(|<script[^>]+src|src="(?!data:)/);
  t.notMatch(html, /<sysroot>|<script>\u001b|<root>/);
  t.ok(html.includes('&lt;sysroot'), 'text stays text');
  t.notMatch(html, /[\u0000-\u0008\u000b-\u001f\u202e]/, 'control characters are shown as such');
  t.equal(html.match(/<script>/g)?.length, 1, 'the one of the page');
});

t.test('the disk, what each boot did to it, and the fate of what was planted', async (t) => {
  const html = await renderHtml(record, await folderOf(t));
  const [first] = record.variants;
  const from = html.indexOf(`<article id="variant-${encodeURIComponent(first?.id ?? '')}`);
  const part = html.slice(from, html.indexOf('</article>', from));
  t.match(part, /block-disk.*<b>ESP<\/b> vfat, 512 MiB.*<b>cryptfs<\/b> LUKS.*block-crypt.*btrfs/s);
  t.match(part, /<li>home <span class="mount">\/home<\/span>/);
  t.equal(part.match(/<li>home /g)?.length, 1, 'on what is mounted, not on the partition of the same name');
  t.match(part, /change-gone"><span class="sign">−<\/span> <s>root\/srv</);
  t.match(part, /5\.902 s {2}Deleting subvolume &lt;root/);
  const rows = [
    ...part.matchAll(/<tr><td>(\S+)<\/td><td>boot 1<\/td><td><span class="mark mark-(\w+)">(\w+)</g),
  ];
  t.strictSame(
    rows.map(([, folder, status, fate]) => [folder, status, fate]),
    [
      ['/etc/NetworkManager/system-connections/imperm-canary-1', 'none', 'gone'],
      ['/home/imperm-canary-1', 'pass', 'there'],
      ['/imperm-canary-1', 'none', 'gone'],
    ],
  );
});

t.test('subvolumes are told apart by what they are, not by their names', (t) => {
  const after = [
    { id: 258, uuid: 'r1', path: 'root' },
    { id: 257, uuid: 'h', path: 'home' },
  ];
  t.strictSame(changesOf(SAMPLE_INSTALLED, after), [
    { path: 'home', change: 'same' },
    { path: 'root', change: 'gone' },
    { path: 'root', change: 'new' },
  ]);
  t.end();
});

t.test('evidence that is damaged or not there is left out, and the rest is shown', async (t) => {
  const folder = await folderOf(t, { 'disk.json': '{ "blocks": [', 'boot-1.json': '{"subvolumes": 7}' });
  const { disk, boots, installed } = await readEvidence(path.join(folder, SAMPLE_PASSED));
  t.same([disk, [...boots.keys()], installed?.length], [undefined, [2], 2]);
  const html = await renderHtml(record, folder);
  t.match(html, /Time<\/h3>/);
  t.match(await renderHtml(record, path.join(folder, 'nowhere')), /<article/);
});

t.test('time has its rows in the order of time, faults between the boots', async (t) => {
  const phase = (name: string, boot?: number) => ({
    name,
    startMs: 0,
    durationMs: 1000,
    ...(boot === undefined ? {} : { boot }),
  });
  const variants = record.variants.slice(0, 1).map((variant) => ({
    ...variant,
    boots: [{ number: 1, how: 'power-on' as const }],
    phases: [
      phase('install'),
      ...[phase('stage-1', 1), phase('shutdown', 1)],
      phase('faults'),
      phase('stage-1', 2),
      phase('inspect-disk'),
    ],
  }));
  const html = await renderHtml({ ...record, variants }, t.testdir({}));
  t.strictSame(
    [...html.matchAll(/bar-title">([^<]*)</g)].map(([, title]) => title),
    ['install', 'boot 1, first power-on', 'faults', 'boot 2', 'powered off'],
  );
});

t.test('the console has the lines that a broken promise quotes marked', async (t) => {
  const [quoted = ''] = record.variants.flatMap(({ checks }) =>
    checks.filter(({ status }) => status === 'fail').flatMap(({ evidence }) => evidence ?? []),
  );
  const folder = t.testdir({});
  const failed = record.variants.find(({ verdict }) => verdict === 'fail');
  const own = path.join(folder, failed?.folder ?? 'none');
  await mkdir(own);
  await writeFile(path.join(own, 'console.log'), `nothing\n${quoted}\nnothing more\n`);
  const html = await renderHtml(record, folder);
  t.match(html, /Console, 3 lines, 1 of them marked/);
  t.equal(html.match(/<mark>/g)?.length, 1);
});

t.test('the style knows both schemes and every verdict', async (t) => {
  const css = await readFile('harness/report/html/report.css', 'utf8');
  t.match(css, /prefers-color-scheme: dark/);
  for (const verdict of ['pass', 'fail', 'error', 'flaky', 'known-bug', 'skip'])
    t.ok(css.includes(`.verdict-${verdict} {`), verdict);
});
