import { absolutePath, account, line } from './schema-parts.js';

/** Why a text cannot be a path in a scenario. @returns What is to follow the text in a sentence; undefined when it can. */
export function whyNotPath(text: string): string | undefined {
  return absolutePath.safeParse(text).error?.issues[0]?.message;
}

/** Why a text cannot be the name of a user. @returns What is to follow the text in a sentence; undefined when it can. */
export function whyNotName(text: string): string | undefined {
  return account.safeParse(text).error?.issues[0]?.message;
}

/** Why a text cannot be a title. @returns What is to follow what it is for in a sentence; undefined when it can. */
export function whyNotLine(text: string): string | undefined {
  return line.safeParse(text).error?.issues[0]?.message;
}
