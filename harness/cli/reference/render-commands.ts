import type { CommandParts } from './command-parts.js';

const MADE = 'Made from the command line itself by `npm run reference`; a test keeps it fresh.';

/** The reference of the command line as a page. */
export function renderCommandsPage(commands: readonly CommandParts[]): string {
  const sections = commands.map(({ name, usage, description, arguments: own, options, notes }) => {
    const terms = [...own, ...options];
    const list = terms.map(({ term, text }) => `- \`${term}\`: ${escapeMarkdown(text)}`).join('\n');
    return [
      `## ${name}`,
      escapeMarkdown(description),
      `\`\`\`text\n${usage}\n\`\`\``,
      list,
      ...(notes === '' ? [] : [`\`\`\`text\n${notes}\n\`\`\``]),
    ].join('\n\n');
  });
  return `# Commands\n\n${MADE} \`npx imperm <command> --help\` shows the same.\n\n${sections.join('\n\n')}\n`;
}

function escapeMarkdown(text: string): string {
  return text.replace(/[<>*_]/g, '\\$&');
}

/** The manual page imperm(1). */
export function renderManual(commands: readonly CommandParts[], version: string): string {
  const [whole, ...others] = commands;
  if (whole === undefined) return '';
  const terms = ({ arguments: own, options }: CommandParts): string[] =>
    [...own, ...options].flatMap(({ term, text }) => ['.TP', `\\fB${roff(term)}\\fR`, roff(text)]);
  const notes = ({ notes: text }: CommandParts): string[] =>
    text === '' ? [] : ['.PP', '.nf', ...text.split('\n').map(roff), '.fi'];
  return [
    '.\\" Made from the command line itself by: npm run reference',
    `.TH IMPERM 1 "" "imperm ${version}" "User Commands"`,
    '.SH NAME',
    'imperm \\- integration tests for NixOS impermanence layouts on virtual machines',
    '.SH SYNOPSIS',
    `.B ${roff(whole.usage)}`,
    '.SH DESCRIPTION',
    roff(whole.description),
    '.SH OPTIONS',
    ...terms(whole),
    ...notes(whole),
    '.SH COMMANDS',
    ...others.flatMap((command) => [
      `.SS ${roff(command.name)}`,
      `.B ${roff(command.usage)}`,
      '.PP',
      roff(command.description),
      ...terms(command),
      ...notes(command),
    ]),
    '',
  ].join('\n');
}

/** Text that troff shows as it is: no escape, no hyphen in the place of a minus, no line that is a request. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&')
    .replace(
      /[^\n -~]/gu,
      (letter) => `\\[u${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}
