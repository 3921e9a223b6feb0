// Evidence of another machine, or of another boot, is no evidence.
import t from 'tap';

import { checkIdentity } from './check-identity.js';

const FOUND = { nonce: 'n', bootId: 'second', os: 'debian' };
const EXPECTED = { nonce: 'n', bootBefore: 'first', guest: 'debian' };

t.test('the machine that was started, in a new boot', (t) => {
  checkIdentity(FOUND, EXPECTED);
  checkIdentity({ ...FOUND, os: '' }, { ...EXPECTED, bootBefore: undefined });
  checkIdentity({ ...FOUND, os: 'nixos' }, { ...EXPECTED, guest: 'nixos, lane plain' });
  t.throws(
    () => {
      checkIdentity({ ...FOUND, nonce: 'm' }, EXPECTED);
    },
    { code: 'WRONG_MACHINE', message: /holds the nonce m, not n/ },
  );
  t.throws(
    () => {
      checkIdentity({ ...FOUND, bootId: 'first' }, EXPECTED);
    },
    { code: 'WRONG_MACHINE', message: /its boot id is still first/ },
  );
  t.end();
});

t.test('what reports call NixOS says so itself', (t) => {
  for (const [os, said] of [
    ['debian', /that it is "debian"/],
    ['', /nothing at all/],
  ] as const)
    t.throws(
      () => {
        checkIdentity({ ...FOUND, os }, { ...EXPECTED, guest: 'nixos' });
      },
      { code: 'WRONG_MACHINE', message: said },
    );
  checkIdentity(FOUND, { ...EXPECTED, guest: "debian with NixOS's interface" });
  t.end();
});
