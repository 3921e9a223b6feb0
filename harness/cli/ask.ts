import { createInterface } from 'node:readline/promises';

/** Asks whoever sits at the terminal. @returns What was typed, without white space around it. */
export async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(question)).trim();
  } finally {
    terminal.close();
  }
}
