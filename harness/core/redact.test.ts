// What must not be told, whatever text it stands in.
import t from 'tap';

import { Redactor } from './redact.js';

t.test('secrets, the longest first, and what follows a pattern', (t) => {
  const redactor = new Redactor();
  redactor.add('swordfish');
  redactor.add('swordfish and more');
  redactor.add('short');
  t.equal(redactor.clean('a swordfish and more, a swordfish, short'), 'a ********, a ********, short');
  t.equal(redactor.clean('key:AAAA= key:B'), 'key:AAAA= key:B');
  redactor.addPattern(/(key:)[A-Z=]+/g);
  t.equal(redactor.clean('key:AAAA= key:B'), 'key:******** key:********');
  t.end();
});
