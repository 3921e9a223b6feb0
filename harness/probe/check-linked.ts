import type { LinkedPromise } from '../scenario/index.js';
import type { BootContext, Finding } from './finding.js';

/** What is declared as a link is one, holds what it should, and leads to something. */
export function checkLinked(promise: LinkedPromise, context: BootContext): Omit<Finding, 'promise' | 'boot'> {
  const { path, target, source } = promise;
  const here = context.evidence.paths.get(path);
  const expected = `${path} is a link to ${target}${target === source ? '' : `, and so to ${source}`}`;
  if (here === undefined)
    return {
      status: 'fail',
      expected,
      found: `${path} does not exist`,
      cause: 'Nothing made the link, or somebody took it away.',
    };
  if (here.type !== 'l')
    return {
      status: 'fail',
      expected,
      found: `${path} is a ${here.type === 'd' ? 'directory' : 'file'} of its own`,
      cause:
        here.type === 'd'
          ? `The directory was there first: a rule of type L leaves it alone. What is written there is lost with the root.`
          : `Who saves a file by writing another and renaming it replaces the link. ${source} keeps what it held before, and the new content is lost with the root.`,
    };
  if (here.target !== target)
    return { status: 'fail', expected, found: `${path} is a link to ${here.target}` };
  if (!context.evidence.paths.has(source))
    return {
      status: 'fail',
      expected,
      found: `the link is there, and ${source} does not exist`,
      cause: 'A link makes nothing: what it leads to has to be made or copied before.',
    };
  return { status: 'pass', found: `link to ${target}` };
}
