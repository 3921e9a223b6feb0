// The page of a run in a real browser: what a person meets who opens report.html. Every claim is shown to fail on a page that
// is broken for it.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { chromium, type Page } from 'playwright-core';
import t from 'tap';

import { Budget, HarnessError } from '../core/index.js';
import { writeSampleRun } from '../report/index.js';
import { makeBrowser } from './browser.js';
import { FIND_PALE, FIND_WIDE } from './page-faults.js';

const UNPACK_LIMIT_MS = 20 * 60_000;
const START_LIMIT_MS = 120_000;
const STEP_LIMIT_MS = 15_000;
const WIDTHS_PX = [390, 1200];

const folder = t.testdir({});
// What the library writes beside the page is looked for afterwards.
process.env['TMPDIR'] = folder;
await writeSampleRun(folder);
const html = await readFile(path.join(folder, 'report.html'), 'utf8');
const program = await makeBrowser({
  folder,
  budget: Budget.start('the browser to be unpacked', UNPACK_LIMIT_MS, new AbortController().signal),
  onBuild: () => {
    process.stderr.write('Unpacking a browser for the tests, once: this takes minutes\n');
  },
});
const browser = await chromium
  .launch({ executablePath: program, chromiumSandbox: false, timeout: START_LIMIT_MS })
  .catch((error: unknown) => {
    throw new HarnessError('HOST_UNFIT', 'The browser for the tests does not start here', {
      hint: 'It needs a mount and a process namespace: `imperm doctor` tells whether users may have them.',
      cause: error,
    });
  });

interface Visit {
  /** Behind the address: `?verdict=fail`. */
  readonly query?: string;
  readonly scheme?: 'light' | 'dark';
  readonly widthPx?: number;
  readonly script?: boolean;
}

/** Opens a page, and gives what the browser complains about beside what `look` finds. */
async function visit(
  text: string,
  { query = '', scheme = 'light', widthPx = 1200, script = true }: Visit,
  look: (page: Page, complaints: readonly string[]) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const file = path.join(folder, 'page.html');
  await writeFile(file, text);
  const context = await browser.newContext({
    colorScheme: scheme,
    viewport: { width: widthPx, height: 800 },
    javaScriptEnabled: script,
  });
  context.setDefaultTimeout(STEP_LIMIT_MS);
  try {
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(`not loaded: ${request.url()}`));
    await page.goto(`${pathToFileURL(file).href}${query}`);
    return await look(page, complaints);
  } finally {
    await context.close();
  }
}

const shownRows = (page: Page): Promise<string[]> =>
  page.locator('tr[data-verdict]:visible a').allTextContents();
const shownParts = (page: Page): Promise<number> => page.locator('article:visible').count();

/** Faults of what is shown: each a sentence. */
async function compareRows(page: Page, wanted: readonly string[], when: string): Promise<string[]> {
  const rows = await shownRows(page);
  const parts = await shownParts(page);
  return rows.join() === wanted.join() && parts === wanted.length
    ? []
    : [`${when}: ${rows.join(', ')} in the table, and ${String(parts)} parts`];
}

/** As the page has them: what is to be looked at first. */
const ALL = ['rollback-too-late', 'tmpfs-luks', 'nested-two-levels', 'btrfs-luks-rollback', 'nixos-flake'];

/** In every scheme and width, with everything opened that can be. */
async function inEveryForm(
  text: string,
  look: (page: Page) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const scheme of ['light', 'dark'] as const)
    for (const widthPx of WIDTHS_PX) {
      const found = await visit(text, { scheme, widthPx }, async (page) => {
        await page.evaluate('for (const each of document.querySelectorAll("details")) each.open = true');
        return look(page);
      });
      faults.push(...found.map((fault) => `${scheme}, ${String(widthPx)} px: ${fault}`));
    }
  return faults;
}

/** The made-up run has few phases: a bar with one of every colour that the style knows. */
function withEveryPhase(text: string): string {
  const segments = [...text.matchAll(/^\.(phase-\w+) \{/gm)].map(
    ([, name = '']) => `<span class="segment ${name}">${name}</span>`,
  );
  return text.replace('</body>', `<div class="bar">${segments.join('')}</div></body>`);
}

/** What is claimed of a page. Each gives the faults that it finds. */
const CLAIMS: Readonly<Record<string, (text: string) => Promise<readonly string[]>>> = {
  'it shows everything, and the browser has nothing to complain about': (text) =>
    visit(text, {}, async (page, complaints) => {
      const faults = await compareRows(page, ALL, 'at first');
      return [...complaints, ...faults];
    }),
  'an address chooses what is shown': async (text) => [
    ...(await visit(text, { query: '?verdict=fail&text=virtio' }, (page) =>
      compareRows(page, ['rollback-too-late'], 'fail, virtio'),
    )),
    ...(await visit(text, { query: '?verdict=fail,error&text=nvme' }, (page) =>
      compareRows(page, ['tmpfs-luks'], 'fail or error, nvme'),
    )),
    ...(await visit(text, { query: '?verdict=fail&text=nvme' }, (page) =>
      compareRows(page, [], 'fail, nvme'),
    )),
  ],
  'typing and clicking choose what is shown': (text) =>
    visit(text, {}, async (page) => {
      await page.getByLabel('Show only what has this text').fill('nested gone:/');
      const typed = await compareRows(page, ['nested-two-levels'], 'typed');
      await page.getByLabel('Show only what has this text').fill('');
      await page.getByRole('checkbox', { name: 'passed' }).uncheck();
      const clicked = await compareRows(
        page,
        ALL.filter((name) => name !== 'btrfs-luks-rollback'),
        'clicked',
      );
      return [...typed, ...clicked];
    }),
  'the lines of a console can be chosen': (text) =>
    visit(text, {}, async (page) => {
      await page.locator('details.console summary').first().click();
      const lines = page.locator('details.console pre > :visible');
      const before = await lines.count();
      await page.getByLabel('Show only lines with this text').first().fill('nowhere in it');
      const after = await lines.count();
      return before > 0 && after === 0 ? [] : [`${String(before)} lines, then ${String(after)}`];
    }),
  'it is legible in light and dark': (text) =>
    inEveryForm(withEveryPhase(text), (page) => page.evaluate<readonly string[]>(FIND_PALE)),
  'it is no wider than a phone': (text) =>
    inEveryForm(text, (page) => page.evaluate<readonly string[]>(FIND_WIDE)),
  'it can be read without JavaScript': (text) =>
    visit(text, { script: false }, async (page) => {
      const faults = await compareRows(page, ALL, 'without JavaScript');
      if (faults.length > 0) return faults;
      const hasFilter = await page.locator('.filter').isVisible();
      await page.locator('summary', { hasText: 'promises kept' }).first().click();
      const opened = await page.locator('.kept dd:visible').count();
      return [
        ...(hasFilter ? ['a filter that does nothing is shown'] : []),
        ...(opened === 0 ? ['nothing can be opened'] : []),
      ];
    }),
};

/** A way to break the page, and the claims that have to tell. */
const BREAKS: readonly (readonly [string, (text: string) => string, readonly RegExp[]])[] = [
  [
    'an error in a script',
    (text) => text.replace('</body>', '<script>nowhere()</script></body>'),
    [/complain/],
  ],
  [
    'a warning',
    (text) => text.replace('</body>', "<script>console.warn('old')</script></body>"),
    [/complain/],
  ],
  [
    'a file that is not there',
    (text) => text.replace('</head>', '<link rel=stylesheet href=x.css></head>'),
    [/complain/],
  ],
  ['a part that is not there', (text) => text.replace(/<article.*?<\/article>/s, ''), [/complain/]],
  ['an address that nobody reads', (text) => text.replace('location.search', "''"), [/address/]],
  [
    'a filter that hears nothing',
    (text) => text.replace("form.addEventListener('input', show)", ''),
    [/typing/],
  ],
  [
    'a console that hears nothing',
    (text) => text.replace("box.addEventListener('input'", "box.addEventListener('x'"),
    [/console/],
  ],
  [
    'a grey that is too dark in the dark',
    (text) => text.replace('</style>', '.host { color: #555 }</style>'),
    [/legible/],
  ],
  [
    'a pale placeholder',
    (text) => text.replace('</style>', '::placeholder { color: #999 }</style>'),
    [/legible/],
  ],
  ['no background of its own', (text) => text.replaceAll('background: var(--back)', ''), [/legible/]],
  [
    'an element that is too wide',
    (text) => text.replace('</header>', '<p style="width: 420px">x</p></header>'),
    [/wider/],
  ],
  ['a table that does not scroll', (text) => text.replaceAll('class="scroll"', ''), [/wider/]],
  [
    'a page that a script makes',
    (text) =>
      text
        .replace('</style>', 'article { display: none }</style>')
        .replace(
          '// Shows only',
          "document.head.append(Object.assign(document.createElement('style'), { textContent: 'article { display: block }' }));//",
        ),
    [/without/],
  ],
];

for (const [claim, look] of Object.entries(CLAIMS))
  t.test(claim, async (t) => {
    t.strictSame(await look(html), []);
  });

for (const [what, change, claims] of BREAKS)
  t.test(`told apart: ${what}`, async (t) => {
    const broken = change(html);
    t.not(broken, html, 'the page is another one');
    for (const [claim, look] of Object.entries(CLAIMS)) {
      if (!claims.some((each) => each.test(claim))) continue;
      const faults = await look(broken);
      t.not(faults.length, 0, claim);
      if (faults[0] !== undefined) t.comment(faults[0]);
    }
  });

t.test('nothing of the browser is left', async (t) => {
  t.not((await processesOf(program)).length, 0, 'it runs until it is told to end');
  await browser.close();
  t.strictSame(await processesOf(program), []);
  t.strictSame(
    (await readdir(folder)).filter((name) => name.startsWith('playwright')),
    [],
  );
});

/** Command lines of processes that name the folder that the program lies in. */
async function processesOf(file: string): Promise<string[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    names.map((name) => readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(path.dirname(file)) && line.includes('remote-debugging-pipe'));
}
