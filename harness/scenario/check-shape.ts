import { z } from 'zod';
import { formatPath, locate, placeOf, plainOf, removeAt, type Located, type Path } from './located.js';
import { suggest, type Problem } from './problem.js';

/** A kind of file that people write. */
export interface FileForm<Schema extends z.ZodObject> {
  readonly schema: Schema;
  /** `scenario` */
  readonly name: string;
}

export interface CheckedShape<Input> {
  readonly problems: readonly Problem[];
  /** What is well-formed, with defaults. Complete when there are no problems. */
  readonly input: Partial<Input>;
  /** Where something was left out of `input` because it is not well-formed. */
  readonly removed: readonly Path[];
}

type Issue = z.core.$ZodIssue;

/** Enough for a missing value at the bottom to take everything above it along. */
const MAX_PRUNINGS = 20;

/**
 * Checks keys and types of a file. What is malformed is taken out of the tree, so that the rules about the
 * rest can still be checked and all problems are shown at once.
 *
 * @param root The file, with all that it extends; changed in place.
 */
export function checkShape<Schema extends z.ZodObject>(
  root: Located,
  form: FileForm<Schema>,
): CheckedShape<z.output<Schema>> {
  type Input = z.output<Schema>;
  const first = form.schema.safeParse(plainOf(root));
  if (first.success) return { problems: [], input: first.data, removed: [] };
  const issues = first.error.issues.flatMap((issue) => flatten(issue, root));
  const problems = issues.flatMap((issue) => describeIssue(issue, root, form));
  const removed: Path[] = [];
  const partialSchema = form.schema.partial();
  let pending = issues;
  for (let round = 0; round < MAX_PRUNINGS; round += 1) {
    const paths = distinctPaths(pending.flatMap((issue) => pathsToRemove(issue, root)));
    // The later items of a list first, as the removal of an item moves up those after it.
    for (const path of paths.sort(comparePaths).reverse()) removeAt(root, path);
    removed.push(...paths);
    const next = partialSchema.safeParse(plainOf(root));
    if (next.success) return { problems, input: next.data as Partial<Input>, removed };
    pending = next.error.issues.flatMap((issue) => flatten(issue, root));
  }
  return { problems, input: {}, removed: [[]] };
}

function pathOf(issue: Issue): Path {
  return issue.path as (string | number)[];
}

/** Of a value that may be of several forms, the issues of the form that it was meant to have. */
function flatten(issue: Issue, root: Located): Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.find(
    (branch) =>
      branch.length > 0 && !branch.some((each) => each.code === 'invalid_type' && each.path.length === 0),
  );
  // Forms told apart by their keys: the one with fewer complaints was meant.
  const fewest = [...issue.errors].sort((a, b) => a.length - b.length)[0];
  const isMap = locate(root, pathOf(issue))?.value instanceof Map;
  const chosen = meant ?? (isMap ? fewest : undefined);
  if (chosen === undefined) return [issue];
  return chosen.flatMap((each) => flatten({ ...each, path: [...issue.path, ...each.path] }, root));
}

function pathsToRemove(issue: Issue, root: Located): Path[] {
  const path = pathOf(issue);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => [...path, key]);
  // A missing value makes what should hold it useless; what the file as a whole lacks does no harm.
  const isMissing = locate(root, path) === undefined;
  if (isMissing && path.length === 1) return [];
  return [isMissing ? path.slice(0, -1) : path];
}

function describeIssue(issue: Issue, root: Located, form: FileForm<z.ZodObject>): Problem[] {
  const path = pathOf(issue);
  const name = path.length === 0 ? `a ${form.name}` : formatPath(path);
  const node = locate(root, path);
  if (node?.isRefused === true) return [];
  const at = (message: string): Problem[] => [{ place: placeOf(root, path), message }];
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = knownKeys(path, root, form.schema);
      return issue.keys.map((key) => ({
        place: placeOf(root, [...path, key], 'key'),
        message: `unknown key "${key}" in ${path.length === 0 ? `the ${form.name}` : name}.${suggest(key, known) || ` Known keys: ${known.join(', ')}.`}`,
      }));
    }
    case 'invalid_key':
      return [
        {
          place: placeOf(root, path, 'key'),
          message: `the key ${JSON.stringify(path.at(-1))} ${issue.issues[0]?.message ?? 'is not allowed here'}`,
        },
      ];
    case 'invalid_type':
      if (node === undefined) return at(`${name} is missing`);
      return at(
        `${name} must be ${describeType(issue.expected)}, not ${describeFound(node)}${quoteAdvice(issue.expected, node)}`,
      );
    case 'invalid_value': {
      const values = issue.values.map(String);
      if (node === undefined) return at(`${name} is missing; it must be ${listValues(values)}`);
      const nearest = typeof node.value === 'string' ? suggest(node.value, values) : '';
      return at(`${name} must be ${listValues(values)}, not ${describeFound(node)}.${nearest}`);
    }
    case 'invalid_union':
      if (node === undefined) return at(`${name} is missing`);
      return at(`${name} must be a text or a map, not ${describeFound(node)}${quoteAdvice('string', node)}`);
    default:
      return at(`${name} ${issue.message}${node === undefined ? '' : `, not ${describeFound(node)}`}`);
  }
}

function listValues(values: readonly string[]): string {
  return values.length === 1 ? (values[0] ?? '') : `one of ${values.join(', ')}`;
}

function describeType(expected: string): string {
  const names: Readonly<Record<string, string>> = {
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a map',
    record: 'a map',
  };
  return names[expected] ?? expected;
}

function describeFound(node: Located): string {
  if (node.value === null) return 'empty';
  if (Array.isArray(node.value)) return 'a list';
  if (node.value instanceof Map) return 'a map';
  if (typeof node.value !== 'string') return node.source ?? String(node.value);
  return JSON.stringify(node.value.length > 60 ? `${node.value.slice(0, 60)}…` : node.value);
}

/** YAML makes a number of 0700 and a truth value of true where NixOS wants a text. */
function quoteAdvice(expected: string, node: Located): string {
  const isBare = typeof node.value === 'number' || typeof node.value === 'boolean';
  return expected === 'string' && isBare ? `; put it in quotes: "${node.source ?? String(node.value)}"` : '';
}

/** The keys which the schema allows in the map at a path. */
function knownKeys(path: Path, root: Located, whole: z.ZodType): readonly string[] {
  let schema = whole;
  for (const [index, step] of path.entries()) {
    schema = unwrap(schema, locate(root, path.slice(0, index)));
    if (schema instanceof z.ZodObject) schema = schema.shape[String(step)] as z.ZodType;
    else if (schema instanceof z.ZodRecord) schema = schema.valueType as z.ZodType;
    else if (schema instanceof z.ZodArray) schema = schema.element as z.ZodType;
  }
  const last = unwrap(schema, locate(root, path));
  return last instanceof z.ZodObject ? Object.keys(last.shape) : [];
}

/** The schema without its default; of several forms the map that has most of the keys found. */
function unwrap(schema: z.ZodType, node: Located | undefined): z.ZodType {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable
  ) {
    return unwrap(schema.unwrap() as z.ZodType, node);
  }
  if (!(schema instanceof z.ZodUnion)) return schema;
  const found = node?.value instanceof Map ? [...node.value.keys()] : [];
  const score = (form: z.ZodType): number =>
    form instanceof z.ZodObject ? found.filter((key) => key in form.shape).length : -1;
  const forms = schema.options as z.ZodType[];
  return forms.reduce((best, form) => (score(form) > score(best) ? form : best));
}

/** Each path once: two faults of one list item must not remove the next item, too. */
function distinctPaths(paths: readonly Path[]): Path[] {
  return [...new Map(paths.map((path) => [JSON.stringify(path), path])).values()];
}

function comparePaths(a: Path, b: Path): number {
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const [left, right] = [a[index], b[index]];
    if (left === right) continue;
    if (typeof left === 'number' && typeof right === 'number') return left - right;
    return String(left) < String(right) ? -1 : 1;
  }
  return a.length - b.length;
}
