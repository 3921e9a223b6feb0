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
export async function debianMirrorArguments(
  asked: string | undefined,
  aptFolder = '/etc/apt',
): Promise<string[]> {
  if (asked !== undefined) return [asked];
  const url = await hostMirror(aptFolder);
  // mmdebstrap's own default also brings the security archive; it is used when the host uses the default mirror.
  return url === undefined || /^https?:\/\/deb\.debian\.org\/debian$/.test(url) ? [] : [url];
}

/** One archive that apt is told to use. */
interface Source {
  readonly urls: readonly string[];
  readonly components: readonly string[];
  /** Files or key itself; empty: apt's own keys. */
  readonly signedBy: string;
}

async function hostMirror(aptFolder: string): Promise<string | undefined> {
  const folder = path.join(aptFolder, 'sources.list.d');
  const names = await readdir(folder).catch(() => []);
  const files = [
    path.join(aptFolder, 'sources.list'),
    ...names.sort().map((name) => path.join(folder, name)),
  ];
  for (const file of files.filter((name) => /\.(list|sources)$/.test(name))) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const source of file.endsWith('.sources') ? sourcesOfDeb822(text) : sourcesOfList(text)) {
      const url = source.urls.find((candidate) => isDebian(candidate, source));
      if (url !== undefined) return url;
    }
  }
  return undefined;
}

/** Only an archive that carries Debian itself: not its security updates, not a vendor's, many of which end like it. */
function isDebian(url: string, source: Source): boolean {
  const isVendors = source.signedBy !== '' && !source.signedBy.includes('debian-archive');
  return /^https?:.*\/debian$/.test(url) && source.components.includes('main') && !isVendors;
}

/** Lines as `deb [signed-by=/key] https://host/debian trixie main contrib`. */
function sourcesOfList(text: string): Source[] {
  return [...text.matchAll(/^[ \t]*deb[ \t]+(?:\[([^\]]*)\][ \t]*)?([^#\n]*)/gm)].map(
    ([, settings = '', words = '']) => {
      const [url = '', , ...components] = words.trim().split(/\s+/);
      return {
        urls: [withoutSlash(url)],
        components,
        signedBy: /signed-by=(\S+)/i.exec(settings)?.[1] ?? '',
      };
    },
  );
}

/** Paragraphs of fields, which may go on over indented lines. */
function sourcesOfDeb822(text: string): Source[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .split(/\n[ \t]*\n/)
    .flatMap((paragraph) => {
      const fields = new Map(
        [...paragraph.matchAll(/^([\w-]+):((?:.*)(?:\n[ \t].*)*)/gm)].map(([, name = '', value = '']) => [
          name.toLowerCase(),
          value.trim(),
        ]),
      );
      const words = (name: string): string[] =>
        (fields.get(name) ?? '').split(/\s+/).filter((word) => word !== '');
      if (
        !words('types').includes('deb') ||
        /^(no|false|off|0|without|disable)$/i.test(fields.get('enabled') ?? '')
      )
        return [];
      return [
        {
          urls: words('uris').map(withoutSlash),
          components: words('components'),
          signedBy: fields.get('signed-by') ?? '',
        },
      ];
    });
}

function withoutSlash(url: string): string {
  return url.replace(/\/$/, '');
}
