import { forEachChild, parse, type Command, type Statement as StatementNode, type SyntaxNode } from 'unbash';

/** A part of a script: from its first character to behind its last. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** A word of a command, as written. */
export interface ShellWord extends Extent {
  readonly text: string;
}

/** A command with its words, the name first; without redirections and assignments in front of it. */
export interface ShellCommand {
  readonly words: readonly [ShellWord, ...ShellWord[]];
}

/** What stands on lines of its own: a command, a list of commands, or a whole loop, condition or function. */
export interface Statement extends Extent {
  /** Lines from 1, both included; those of a here-document count. */
  readonly first: number;
  readonly last: number;
  /** Has no statements of its own. */
  readonly isSimple: boolean;
  /** Something is written to a file. */
  readonly writes: boolean;
  /** Name of the function that it defines. */
  readonly defines?: string;
  /** Nothing but this command: no redirection, no other command before or behind it. */
  readonly only?: ShellCommand;
}

/** A script, taken apart. */
export interface ShellScript {
  readonly text: string;
  /** Statements that follow each other: those of the script itself first, then those of each body. */
  readonly bodies: readonly (readonly Statement[])[];
  /** Every command, those within `$(…)` included, in their order. */
  readonly commands: readonly ShellCommand[];
  /** `|| command`, blank in front included; not where a whole block is behind it. */
  readonly guards: readonly Extent[];
}

/**
 * Takes a script of sh or bash apart. Nothing is run.
 *
 * @returns No statements and no commands where the script is none.
 */
export function parseShell(text: string): ShellScript {
  const root = parse(text);
  if (root.errors !== undefined && root.errors.length > 0)
    return { text, bodies: [], commands: [], guards: [] };
  const bodies: Statement[][] = [];
  readBody(root.commands, text, bodies);
  const commands: ShellCommand[] = [];
  const guards: Extent[] = [];
  visit(root, (node) => {
    if (node.type === 'Command') commands.push(...wordsOf(node, text));
    if (node.type !== 'AndOr') return;
    for (const [index, operator] of node.operators.entries()) {
      const [before, behind] = [node.commands[index], node.commands[index + 1]];
      if (operator === '||' && before !== undefined && behind?.type === 'Command')
        guards.push({ start: before.end, end: behind.end });
    }
  });
  return { text, bodies, commands: commands.sort((a, b) => a.words[0].start - b.words[0].start), guards };
}

/** Number of the line, from 1, of a place in a text. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** Every node, parents first. What stands in backquotes has places of its own, and is left out. */
function visit(node: SyntaxNode, see: (node: SyntaxNode) => void): void {
  if (node.type === 'Script' && node.source !== undefined) return;
  see(node);
  forEachChild(node, (child) => {
    visit(child, see);
  });
}

function wordsOf({ name, args }: Command, text: string): ShellCommand[] {
  if (name === undefined) return [];
  const wordAt = ({ pos, end }: { readonly pos: number; readonly end: number }): ShellWord => ({
    text: text.slice(pos, end),
    start: pos,
    end,
  });
  return [{ words: [wordAt(name), ...args.map(wordAt)] }];
}

/** Statements of a list, and those of all lists within. What stands on one line is one. */
function readBody(nodes: readonly StatementNode[], text: string, bodies: Statement[][]): void {
  const body: Statement[] = [];
  bodies.push(body);
  let line: StatementNode[] = [];
  const end = (): void => {
    if (line.length > 0) body.push(readStatement(line, text, bodies));
    line = [];
  };
  for (const node of nodes) {
    const last = line.at(-1);
    if (last !== undefined && lineAt(text, endOf(last) - 1) < lineAt(text, node.pos)) end();
    line.push(node);
  }
  end();
}

function readStatement(nodes: readonly StatementNode[], text: string, bodies: Statement[][]): Statement {
  const start = nodes[0]?.pos ?? 0;
  const end = Math.max(...nodes.map(endOf));
  const [first, last] = [lineAt(text, start), lineAt(text, end - 1)];
  const inner = first === last ? [] : nodes.flatMap(listsIn);
  for (const list of inner) readBody(list, text, bodies);
  let writes = false;
  for (const node of nodes)
    visit(node, (each) => {
      if (each.type === 'Redirect' && (each.operator === '>' || each.operator === '>>')) writes = true;
    });
  const [node] = nodes;
  const command = nodes.length === 1 ? node?.command : undefined;
  const isBare = command?.type === 'Command' && command.prefix.length + command.redirects.length === 0;
  const [only] = isBare && node?.background !== true ? wordsOf(command, text) : [];
  return {
    start,
    end,
    first,
    last,
    isSimple: inner.length === 0,
    writes,
    ...(command?.type === 'Function' ? { defines: command.name.value } : {}),
    ...(only === undefined ? {} : { only }),
  };
}

/** Where a statement ends, its here-documents included. */
function endOf(node: StatementNode): number {
  let { end } = node;
  visit(node, (each) => {
    if (each.type === 'HereDoc') end = Math.max(end, each.closing?.end ?? each.body.end);
  });
  return end;
}

/** The lists of statements of loops, branches and blocks; not what decides about them. */
function listsIn(node: SyntaxNode): (readonly StatementNode[])[] {
  const lists: (readonly StatementNode[])[] = [];
  const clause =
    node.type === 'If' || node.type === 'Elif' || node.type === 'While' ? node.clause : undefined;
  forEachChild(node, (child) => {
    if (child === clause || child.type === 'Word' || child.type === 'Assignment') return;
    if (child.type === 'CompoundList') lists.push(child.commands);
    else lists.push(...listsIn(child));
  });
  return lists;
}
