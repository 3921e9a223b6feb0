import { pipeline, type Readable } from 'node:stream';

import { HarnessError } from '../core/index.js';
import type { CommandChannel } from './remote-session.js';

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ExecuteOptions {
  /** Standard input; absent: none. */
  readonly input?: string | Buffer | Readable;
}

/**
 * All that a command says, and how it ended.
 *
 * @throws {HarnessError} MACHINE_UNREACHABLE when nobody said how.
 */
export async function collectResult(
  channel: CommandChannel,
  command: string,
  options: ExecuteOptions,
): Promise<CommandResult> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  channel.on('data', (chunk: Buffer) => stdout.push(chunk));
  channel.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  channel.on('error', () => undefined); // input that the command did not read; its exit code says how it went
  let exitCode: number | undefined;
  let signal: string | undefined;
  channel.on('exit', (code: number | null, name?: string) => {
    exitCode = code ?? undefined;
    signal = name;
  });
  await new Promise<void>((resolve) => {
    channel.once('close', () => {
      resolve();
    });
    const { input = '' } = options;
    if (typeof input === 'string' || Buffer.isBuffer(input)) channel.end(input);
    else pipeline(input, channel, () => undefined); // what the command did not read is its own affair
  });
  if (exitCode === undefined && signal === undefined) {
    throw new HarnessError('MACHINE_UNREACHABLE', `The machine gave no exit code for: ${firstLine(command)}`);
  }
  return {
    exitCode: exitCode ?? 255,
    stdout: Buffer.concat(stdout),
    stderr: Buffer.concat(stderr).toString('utf8'),
  };
}

/** The beginning of a command, for messages. */
export function firstLine(command: string): string {
  const line = command.trim().split('\n')[0] ?? '';
  return line.length > 100 ? `${line.slice(0, 100)}…` : line;
}
