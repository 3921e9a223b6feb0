import type { MadePromise } from '../scenario/index.js';
import { describeOtherOwner } from './accounts.js';
import type { BootContext, Finding } from './finding.js';

/** What a rule of tmpfiles makes is there after its boot, as the rule says. */
export function checkMade(promise: MadePromise, context: BootContext): Omit<Finding, 'promise' | 'boot'> {
  const { path, of, mode } = promise;
  const here = context.evidence.paths.get(path);
  const expected = `the ${of} ${path}${mode === undefined ? '' : `, mode ${mode}`}`;
  if (here === undefined)
    return {
      status: 'fail',
      expected,
      found: `${path} does not exist`,
      cause:
        'systemd-tmpfiles did not make it. Its words are in the journal: journalctl -b -t systemd-tmpfiles.',
    };
  if (here.type !== (of === 'directory' ? 'd' : 'f'))
    return {
      status: 'fail',
      expected,
      found: `${path} is no ${of}`,
      cause: 'What stands in its place was there first: a rule leaves alone what is of another type.',
    };
  const owner = describeOtherOwner(promise, here, context.evidence.accounts);
  if (owner !== undefined)
    return {
      status: 'fail',
      expected: `${expected}, ${owner.expected}`,
      found: owner.found,
      cause: CHANGED,
    };
  if (mode !== undefined && here.mode !== mode)
    return { status: 'fail', expected, found: `mode ${here.mode}`, cause: CHANGED };
  return { status: 'pass', found: `made, mode ${here.mode}` };
}

const CHANGED =
  'Rules are followed once in a boot. Something made or changed it afterwards, or what it lies on was mounted later and hides what the rule made.';
