import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { debianMirrorArguments } from './mirror.js';

/** Writes apt's files, named as below /etc/apt, and asks for the mirror. */
async function askFor(
  t: { teardown: (release: () => unknown) => void },
  files: Record<string, string>,
): Promise<string[]> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  }
  return debianMirrorArguments(undefined, dir);
}

const MIRROR = ['http://mirror.example/debian'];

void t.test('the mirror that was asked for wins', async (t) => {
  t.strictSame(await debianMirrorArguments('http://my.example/anything', '/nowhere'), [
    'http://my.example/anything',
  ]);
});

void t.test('no answer lets mmdebstrap take its default', async (t) => {
  t.strictSame(await debianMirrorArguments(undefined, '/nowhere'), []);
  t.strictSame(await askFor(t, { 'sources.list': 'deb http://deb.debian.org/debian trixie main\n' }), []);
  t.strictSame(await askFor(t, { 'sources.list': 'deb https://deb.debian.org/debian/ trixie main\n' }), []);
  t.strictSame(
    await askFor(t, {
      'sources.list.d/ubuntu.sources':
        'Types: deb\nURIs: http://archive.ubuntu.com/ubuntu\nSuites: noble\nComponents: main\n',
    }),
    [],
  );
});

void t.test('lines of sources.list', async (t) => {
  const lines = [
    'deb http://mirror.example/debian trixie main',
    'deb http://mirror.example/debian/ trixie main contrib # near',
    '  deb\t[arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]  http://mirror.example/debian trixie main',
    'deb [ trusted=yes ] http://mirror.example/debian trixie contrib main\n',
    '# deb http://old.example/debian buster main\ndeb-src http://src.example/debian trixie main\ndeb http://mirror.example/debian trixie main',
    'deb http://security.example/debian-security trixie-security main\ndeb http://mirror.example/debian trixie main',
    'deb file:/srv/debian trixie main\ndeb http://mirror.example/debian trixie main',
    'deb cdrom:[Debian 13]/debian trixie main\ndeb http://mirror.example/debian trixie main',
  ];
  for (const line of lines) {
    t.strictSame(await askFor(t, { 'sources.list': line }), MIRROR, line);
    t.strictSame(await askFor(t, { 'sources.list.d/any.list': line }), MIRROR, `in a folder: ${line}`);
  }
  t.strictSame(
    await askFor(t, { 'sources.list.d/any.list.save': lines[0] ?? '' }),
    [],
    'apt does not read it either',
  );
});

void t.test('paragraphs of deb822', async (t) => {
  const debian =
    'Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie trixie-updates\nComponents: main\n';
  const paragraphs = [
    debian,
    `${debian}Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n`,
    'types: deb-src deb\nuris:\n# http://comment.example/debian\n http://mirror.example/debian/\nsuites: trixie\ncomponents: contrib\n main',
    '# Types: deb\nTypes: deb\n# URIs: http://comment.example/debian\nURIs: ftp://x.example/debian http://mirror.example/debian\nSuites: trixie\nComponents: main\nEnabled: yes\n',
    `${debian.replaceAll('mirror', 'off')}Enabled: no\n\n${debian}`,
    `${debian.replaceAll('mirror', 'src').replace('Types: deb', 'Types: deb-src')}\n\n${debian}`,
    `${debian.replaceAll('/debian', '/debian-security')}\n \n${debian}`,
    `${debian.replaceAll('mirror', 'vendor')}Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDME\n\n${debian}`,
  ];
  for (const text of paragraphs)
    t.strictSame(await askFor(t, { 'sources.list.d/debian.sources': text }), MIRROR, text);
});

void t.test('archives of vendors are not Debian, though they may be called so', async (t) => {
  const vendors = {
    'sources.list.d/a-docker.list':
      'deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/debian trixie stable\n',
    'sources.list.d/b-docker.list': 'deb https://download.docker.com/linux/debian trixie stable\n',
    'sources.list.d/c-gitlab.list':
      'deb [signed-by=/usr/share/keyrings/gitlab.gpg] https://packages.gitlab.com/gitlab/gitlab-ce/debian trixie main\n',
    'sources.list.d/d-wine.sources':
      'Types: deb\nURIs: https://dl.winehq.org/wine-builds/debian\nSuites: trixie\nComponents: main\nSigned-By: /etc/apt/keyrings/winehq.key\n',
    'sources.list.d/e-node.sources':
      'Types: deb\nURIs: https://deb.nodesource.com/node_20.x\nSuites: nodistro\nComponents: main\n',
  };
  t.strictSame(await askFor(t, vendors), []);
  t.strictSame(
    await askFor(t, {
      ...vendors,
      'sources.list.d/z.list': 'deb http://mirror.example/debian trixie main\n',
    }),
    MIRROR,
  );
  t.strictSame(
    await askFor(t, { ...vendors, 'sources.list': 'deb http://mirror.example/debian trixie main\n' }),
    MIRROR,
  );
});
