import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * The mirror for mmdebstrap: the one asked for, else the one this Debian host itself uses, else none, which lets
 * mmdebstrap take its default.
 *
 * @param asked A URL, or undefined.
 * @param aptFolder Where apt's configuration lies.
 * @returns Arguments for the end of mmdebstrap's command line.
 */
export async function debianMirrorArguments(asked: string | undefined, aptFolder = '/etc/apt'): Promise<string[]> {
  if (asked !== undefined) return [asked];
  const url = await hostMirror(aptFolder);
  // mmdebstrap's own default also brings the security archive; it is used when the host uses the default mirror.
  return url === undefined || /^https?:\/\/deb\.debian\.org\/debian$/.test(url) ? [] : [url];
}

async function hostMirror(aptFolder: string): Promise<string | undefined> {
  const folder = path.join(aptFolder, 'sources.list.d');
  const names = await readdir(folder).catch(() => []);
  const files = [path.join(aptFolder, 'sources.list'), ...names.sort().map((name) => path.join(folder, name))];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const url of file.endsWith('.sources') ? urlsOfDeb822(text) : urlsOfList(text)) {
      // Only an archive that carries Debian itself: not security, not a vendor's.
      if (/\/debian$/.test(url)) return url;
    }
  }
  return undefined;
}

function urlsOfList(text: string): string[] {
  return [...text.matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)/gm)].map((match) => (match[1] ?? '').replace(/\/$/, ''));
}

function urlsOfDeb822(text: string): string[] {
  return [...text.matchAll(/^URIs:\s*(.+)$/gim)].flatMap((match) =>
    (match[1] ?? '').trim().split(/\s+/).map((url) => url.replace(/\/$/, '')),
  );
}
