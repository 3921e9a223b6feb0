import { forEachChild, parse, type Assignment, type Command, type SyntaxNode, type Word } from 'unbash';

import type { Place } from '../core/index.js';
import type { Script } from '../scenario/index.js';

/** A command that a script may run. */
export interface ShellCommand {
  /** As written, with variables that have one known value replaced: `btrfs`, `/run/tool`, `$program`. */
  readonly name: string;
  /** The same for its arguments. What is not known stays as written: `/mnt/$1`. */
  readonly args: readonly string[];
  /** Files that it writes by redirection. */
  readonly writes: readonly string[];
  readonly place: Place;
  /** That it fails ends no script under `set -e`: it is a condition, or `||` follows, or nobody asks for its result. */
  readonly isChecked: boolean;
  /** Name of the function in which it stands. */
  readonly inFunction?: string;
  /** Stands in what decides about a loop (`while`, `until`). */
  readonly inLoopCondition: boolean;
  /** Stands between `for x in` and `do`. */
  readonly inForList: boolean;
  /** Which pipeline it is a part of; commands of one pipeline have the same number. */
  readonly pipeline: number;
}

/**
 * What a script runs, as far as its text tells: commands in their order, those in functions, conditions and `$(…)` too. What
 * `eval`, `sh -c` or `find -exec` would run is not seen.
 */
export interface ShellScript {
  readonly commands: readonly ShellCommand[];
  readonly functions: ReadonlySet<string>;
  /** Variables that are set anywhere, functions and loops included. */
  readonly variables: ReadonlySet<string>;
}

interface Context {
  readonly isChecked: boolean;
  readonly inFunction?: string;
  readonly inLoopCondition: boolean;
  readonly inForList: boolean;
  readonly pipeline: number;
}

/**
 * Reads a script without running it.
 *
 * @returns Undefined when it is not understood: then nothing can be said of it.
 */
export function readShell(script: Script): ShellScript | undefined {
  const root = parse(script.text);
  if (root.errors !== undefined && root.errors.length > 0) return undefined;
  return new Reader(script).read(root);
}

/** Where a script stops to be one. @returns Undefined when it is understood. */
export function findSyntaxError(
  script: Script,
): { readonly place: Place; readonly message: string } | undefined {
  const [error] = parse(script.text).errors ?? [];
  return error === undefined ? undefined : { place: placeIn(script, error.pos), message: error.message };
}

/** Commands that run the command that follows their options. */
const WRAPPERS = new Set(['command', 'builtin', 'exec', 'env', 'nice', 'xargs', 'time']);
/** Their options that take the next word along. */
const WRAPPER_VALUES = /^-[IdLnPsa]$/;

class Reader {
  readonly #script: Script;
  readonly #commands: (Omit<ShellCommand, 'name' | 'args' | 'writes'> & {
    readonly words: readonly string[];
    readonly writes: readonly string[];
  })[] = [];
  readonly #functions = new Set<string>();
  readonly #values = new Map<string, Set<string>>();
  #pipelines = 0;

  constructor(script: Script) {
    this.#script = script;
  }

  read(root: SyntaxNode): ShellScript {
    this.#visit(root, { isChecked: false, inLoopCondition: false, inForList: false, pipeline: 0 });
    // In a function nothing ends the script when everybody who calls it looks at the result.
    const isLookedAt = (name: string): boolean => {
      const outside = this.#commands.filter(
        ({ words, inFunction }) => words[0] === name && inFunction !== name,
      );
      return outside.length > 0 && outside.every(({ isChecked }) => isChecked);
    };
    const commands = this.#commands.map(({ words, writes, ...command }): ShellCommand => {
      const [name = '', ...args] = words.map((word) => this.#expand(word));
      const { inFunction, isChecked } = command;
      return {
        ...command,
        name,
        args,
        writes: writes.map((word) => this.#expand(word)),
        isChecked: isChecked || (inFunction !== undefined && isLookedAt(inFunction)),
      };
    });
    return { commands, functions: this.#functions, variables: new Set(this.#values.keys()) };
  }

  #visit(node: SyntaxNode, context: Context): void {
    switch (node.type) {
      case 'Function':
        this.#functions.add(node.name.value);
        this.#visit(node.body, { ...context, isChecked: false, inFunction: node.name.value });
        return;
      case 'AndOr':
        for (const [index, command] of node.commands.entries())
          this.#visit(command, {
            ...context,
            isChecked: context.isChecked || index < node.commands.length - 1,
          });
        return;
      case 'Pipeline': {
        this.#pipelines += 1;
        const pipeline = this.#pipelines;
        const isNegated = node.prefixes.some(({ type }) => type === 'Negation');
        for (const [index, command] of node.commands.entries())
          this.#visit(command, {
            ...context,
            pipeline,
            isChecked: context.isChecked || isNegated || index < node.commands.length - 1,
          });
        return;
      }
      case 'If':
      case 'Elif':
        this.#visit(node.clause, { ...context, isChecked: true });
        forEachChild(node, (child) => {
          if (child !== node.clause) this.#visit(child, context);
        });
        return;
      case 'While':
        this.#visit(node.clause, { ...context, isChecked: true, inLoopCondition: true });
        this.#visit(node.body, context);
        return;
      case 'For':
        this.#note(node.name.value, undefined);
        for (const word of node.wordlist ?? [])
          this.#visit(word, { ...context, isChecked: true, inForList: true });
        this.#visit(node.body, context);
        return;
      case 'Assignment':
        this.#assign(node);
        // The result of `x=$(…)` is that of the command.
        forEachChild(node, (child) => {
          this.#visit(child, context);
        });
        return;
      case 'Command':
        this.#addCommand(node, context);
        return;
      default:
        forEachChild(node, (child) => {
          this.#visit(child, context);
        });
    }
  }

  #addCommand(node: Command, context: Context): void {
    const args = node.args.filter((each): each is Word => each.type === 'Word');
    const words = [...(node.name === undefined ? [] : [node.name]), ...args].map(({ value }) => value);
    const writes = node.redirects.flatMap((redirect) =>
      redirect.type === 'Redirect' && redirect.operator.includes('>') && redirect.target !== undefined
        ? [redirect.target.value]
        : [],
    );
    const pipeline = context.pipeline === 0 ? (this.#pipelines += 1) : context.pipeline;
    if (node.name !== undefined) {
      const place = placeIn(this.#script, node.pos);
      const command = { ...context, pipeline, place, writes };
      this.#commands.push({ ...command, words });
      const inner = unwrap(words);
      if (inner !== undefined) this.#commands.push({ ...command, words: inner });
    }
    if (words[0] === 'read') for (const word of words.slice(1)) this.#note(word, undefined);
    // What a command is given as an argument may fail without a word; in front of it stand assignments.
    const inside = { ...context, pipeline, isChecked: context.isChecked || node.name !== undefined };
    forEachChild(node, (child) => {
      this.#visit(child, inside);
    });
  }

  #assign({ name, value, append }: Assignment): void {
    this.#note(name, value.type === 'Word' && append !== true ? value.value : undefined);
  }

  #note(name: string, value: string | undefined): void {
    const values = this.#values.get(name) ?? new Set();
    this.#values.set(name, values.add(value ?? ''));
  }

  /** Replaces the variables that have the same value wherever they are set. */
  #expand(text: string, depth = 0): string {
    if (depth > 5) return text;
    return text.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced?: string, bare?: string) => {
      const [value, ...others] = this.#values.get(braced ?? bare ?? '') ?? [];
      if (value === undefined || value === '' || others.length > 0 || value.includes('$(')) return whole;
      return this.#expand(value, depth + 1);
    });
  }
}

/** Of a script that stands in the scenario itself, only where it begins is known. */
function placeIn({ file, text, place }: Script, offset: number): Place {
  if (file === place.file) return place;
  const before = text.slice(0, offset).split('\n');
  return { file, line: before.length, col: (before.at(-1) ?? '').length + 1 };
}

/** What `xargs -r btrfs …` runs: `btrfs …`. */
function unwrap(words: readonly string[]): readonly string[] | undefined {
  const [name = ''] = words;
  if (!WRAPPERS.has(name)) return undefined;
  let index = 1;
  while (index < words.length) {
    const word = words[index] ?? '';
    if (WRAPPER_VALUES.test(word)) index += 2;
    else if (word.startsWith('-') || /^\w+=/.test(word)) index += 1;
    else break;
  }
  // `command -v tool` asks for it and does not run it.
  if (words.slice(1, index).some((word) => /^-[vV]$/.test(word))) return undefined;
  const inner = words.slice(index);
  return inner.length === 0 ? undefined : inner;
}
