import { readFile, stat } from 'node:fs/promises';

/** Larger files are refused: nobody writes them by hand, and they would be kept in memory as a whole. */
export const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Reads a file that a person wrote.
 *
 * @param file Absolute path.
 * @returns Its text, or in `refusal` why it was not read, to be put after the name of the file.
 */
export async function readSmallText(file: string): Promise<{ text: string } | { refusal: string }> {
  let bytes: Buffer;
  try {
    const status = await stat(file);
    // Before the file is opened: the opening of a pipe would wait for its other end.
    if (!status.isFile()) return { refusal: 'is not a regular file' };
    if (status.size > MAX_FILE_BYTES) return { refusal: 'is larger than 1 MiB' };
    bytes = await readFile(file);
  } catch (error) {
    return { refusal: describeFileError(error) };
  }
  if (bytes.includes(0)) return { refusal: 'holds a NUL byte, so it is not text' };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { refusal: 'is not valid UTF-8' };
  }
}

function describeFileError(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  if (code === 'EACCES') return 'cannot be read: permission denied';
  return `cannot be read: ${code}`;
}
