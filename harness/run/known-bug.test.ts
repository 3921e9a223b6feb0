// A known bug has to show exactly as declared: neither less, nor more, nor otherwise.
import t from 'tap';

import { judgeKnownBug } from './findings.js';

const known = {
  reason: 'it does not wipe',
  symptom: 'files stay',
  broken: ['root-wiped', 'gone:/'],
  sometimes: ['boots'],
  place: { file: 'x', line: 1, col: 1 },
};

function judge(...broken: string[]) {
  return judgeKnownBug(known, new Set(broken));
}

void t.test('what is declared is as good as a pass, and tells what was reported', (t) => {
  const exact = judge('root-wiped', 'gone:/');
  t.match(exact, {
    status: 'pass',
    found: /broken: root-wiped, gone:\/, and nothing else; as reported: files stay/,
  });
  t.equal(judge('gone:/', 'root-wiped', 'boots').status, 'pass', 'what comes of a race may break, too');
  t.end();
});

void t.test('a bug that does not show any more turns the run red, and says so', (t) => {
  t.match(judge(), {
    status: 'fail',
    found: /kept, although declared to be broken: root-wiped, gone:\//,
    cause: /does not show any more.*take out `expect`/,
  });
  t.match(
    judge('boots'),
    { status: 'fail', cause: /fails otherwise than declared/ },
    'a race alone is not the bug',
  );
  t.end();
});

void t.test('a bug that breaks something else is another one', (t) => {
  t.match(judge('root-wiped'), { status: 'fail', found: 'kept, although declared to be broken: gone:/' });
  t.match(judge('root-wiped', 'gone:/', 'kept:/home'), {
    status: 'fail',
    found: 'broken, although not declared: kept:/home',
    cause: /fails otherwise/,
  });
  t.end();
});
