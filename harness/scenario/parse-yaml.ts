import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node } from 'yaml';
import type { Place } from '../core/index.js';
import type { Located, LocatedMap, LocatedValue } from './located.js';
import type { Problem } from './problem.js';

/** A text of a scenario file and where it came from. */
export interface SourceText {
  /** As shown to a person. */
  readonly shown: string;
  /** Absolute path of the folder of the file. */
  readonly folder: string;
  readonly text: string;
}

export interface ParsedYaml {
  /** Absent when the text is so broken that nothing more can be said about it. */
  readonly root?: Located;
  readonly problems: readonly Problem[];
}

/** A few lines with aliases of aliases can stand for billions of values. */
const MAX_VALUES = 20_000;
const MAX_DEPTH = 40;
const TOO_DEEP = `nested deeper than ${String(MAX_DEPTH)} levels`;

const NO_TAGS = 'YAML tags are not allowed: a scenario is plain data';

/** The only types that a value may have; any other tag would have something constructed. */
const PLAIN_TAGS = new Set(
  ['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((tag) => `tag:yaml.org,2002:${tag}`),
);

/**
 * Reads YAML 1.2 as plain data with places: no tags that construct things, no duplicate keys, no endless
 * aliases.
 *
 * @param source The text and its origin.
 * @returns The root value, and all problems.
 */
export function parseYaml(source: SourceText): ParsedYaml {
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file: source.shown, line: Math.max(line, 1), col: Math.max(col, 1) };
  };
  const document = parseDocument(source.text, {
    lineCounter: lines,
    prettyErrors: false,
    schema: 'core',
    stringKeys: true,
    uniqueKeys: true,
  });
  const problems: Problem[] = [...document.errors, ...document.warnings].map((error) => ({
    place: placeAt(error.pos[0]),
    message: describeSyntaxError(error.code, error.message),
  }));
  const isReadable = document.errors.every((error) => error.code === 'DUPLICATE_KEY');
  if (!isReadable || document.contents === null) {
    if (problems.length === 0) problems.push({ place: placeAt(0), message: 'the file is empty' });
    return { problems };
  }
  const converter = new Converter(source.folder, placeAt);
  const root = converter.convert(document.contents, 0);
  const all = [...problems, ...converter.problems];
  return converter.isFull ? { problems: all } : { root, problems: all };
}

function describeSyntaxError(code: string, message: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'the same key twice in one map; only one of them could count';
    case 'TAG_RESOLVE_FAILED':
      return NO_TAGS;
    case 'MULTIPLE_DOCS':
      return 'a second YAML document; a scenario file holds one';
    case 'NON_STRING_KEY':
      return 'a key must be plain text';
    // The parser calls itself for every level; a text of brackets alone exhausts the stack.
    case 'RESOURCE_EXHAUSTION':
      return TOO_DEEP;
    default:
      return `not valid YAML: ${message}`;
  }
}

const REFUSED = { value: null, isRefused: true } as const;

/** Turns YAML nodes into located values. One for each file, as its limits are those of a file. */
class Converter {
  readonly problems: Problem[] = [];
  #count = 0;
  /** There were more values than a file may have; the rest was not read. */
  isFull = false;
  /** Nodes that are being converted; an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  /** Anchors met so far, in the order of the text, which is what an alias refers to. */
  readonly #anchors = new Map<string, Node>();
  #aliasDepth = 0;
  readonly #folder: string;
  readonly #placeAt: (offset: number) => Place;

  constructor(folder: string, placeAt: (offset: number) => Place) {
    this.#folder = folder;
    this.#placeAt = placeAt;
  }

  convert(node: Node, depth: number): Located {
    const place = this.#placeAt(node.range?.[0] ?? 0);
    const base = { place, folder: this.#folder };
    this.#count += 1;
    if (this.#count > MAX_VALUES) return { ...base, ...this.#refuseMore(place) };
    if (depth > MAX_DEPTH) return { ...base, ...this.#refuse(place, TOO_DEEP) };
    if (isAlias(node)) return { ...this.#convertAlias(node.source, place, depth), place };
    if (node.tag !== undefined && !PLAIN_TAGS.has(node.tag)) {
      return { ...base, ...this.#refuse(place, NO_TAGS) };
    }
    if (this.#aliasDepth === 0 && node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isScalar(node)) {
      return {
        ...base,
        value: node.value as LocatedValue,
        ...(node.source === undefined ? {} : { source: node.source }),
      };
    }
    this.#open.add(node);
    const value = isMap<Node, Node | null>(node)
      ? this.#convertMap(node.items, depth)
      : isSeq<Node>(node)
        ? node.items.map((item) => this.convert(item, depth + 1))
        : null;
    this.#open.delete(node);
    return { ...base, value };
  }

  #convertMap(
    items: readonly { readonly key: Node; readonly value: Node | null }[],
    depth: number,
  ): LocatedMap {
    const map: LocatedMap = new Map();
    for (const { key, value } of items) {
      const keyPlace = this.#placeAt(key.range?.[0] ?? 0);
      const name = isScalar(key) ? String(key.value) : undefined;
      if (name === undefined || name === '__proto__') {
        this.#refuse(
          keyPlace,
          name === undefined ? 'a key must be plain text' : '"__proto__" cannot be a key',
        );
        continue;
      }
      const converted: Located =
        value === null
          ? { value: null, place: keyPlace, folder: this.#folder }
          : this.convert(value, depth + 1);
      map.set(name, { ...converted, keyPlace });
    }
    return map;
  }

  #convertAlias(name: string, place: Place, depth: number): Located {
    const target = this.#anchors.get(name);
    if (target === undefined || this.#open.has(target)) {
      const message =
        target === undefined ? 'the alias has no anchor before it' : 'the alias stands inside its own anchor';
      return { ...this.#refuse(place, message), place, folder: this.#folder };
    }
    this.#aliasDepth += 1;
    const converted = this.convert(target, depth + 1);
    this.#aliasDepth -= 1;
    return converted;
  }

  #refuse(place: Place, message: string): typeof REFUSED {
    this.problems.push({ place, message });
    return REFUSED;
  }

  #refuseMore(place: Place): typeof REFUSED {
    if (!this.isFull)
      this.#refuse(place, `more than ${String(MAX_VALUES)} values, those of aliases included`);
    this.isFull = true;
    return REFUSED;
  }
}
