// What the command line says about the guest.
import t from 'tap';

import { chooseGuest, renderGuest } from './choose-guest.js';

t.test('the guest, what it is installed from, and the same again as a command line', (t) => {
  t.strictSame(chooseGuest({ guest: 'debian' }), { kind: 'debian' });
  t.strictSame(renderGuest({ guest: 'debian' }), []);
  t.strictSame(chooseGuest({ guest: 'nixos' }), { kind: 'nixos', medium: 'iso' });
  t.strictSame(chooseGuest({ guest: 'nixos', medium: 'netboot', systemsFlake: 'path:/f' }), {
    kind: 'nixos',
    medium: 'netboot',
    systemsFlake: 'path:/f',
  });
  t.match(chooseGuest({ guest: 'nixos', medium: 'my.iso' }), { medium: { officialIso: /^\/.*\/my\.iso$/ } });
  t.strictSame(renderGuest({ guest: 'nixos', medium: 'my.iso', systemsFlake: 'f' }), [
    '--guest nixos',
    '--medium my.iso',
    '--systems-flake f',
  ]);
  t.strictSame(chooseGuest({ guest: 'debian', flake: '.#laptop' }), { kind: 'nixos', medium: 'iso' });
  t.strictSame(renderGuest({ guest: 'debian', flake: '.#laptop', medium: 'netboot' }), [
    '--flake .#laptop',
    '--medium netboot',
  ]);
  t.match(chooseGuest({ guest: 'nixos', lane: 'preservation' }), { lane: 'preservation' });
  t.strictSame(renderGuest({ guest: 'nixos', lane: '25_11' }), ['--guest nixos', '--lane 25_11']);
  t.throws(() => chooseGuest({ guest: 'debian', lane: 'main' }), { code: 'USAGE', message: /--lane/ });
  t.throws(() => chooseGuest({ guest: 'nixos', lane: 'main', flake: '.#x' }), {
    code: 'USAGE',
    message: /--lane is for scenarios/,
  });
  t.throws(() => chooseGuest({ guest: 'nixos', medium: 'dvd' }), { code: 'USAGE', message: /not "dvd"/ });
  t.throws(() => chooseGuest({ guest: 'debian', medium: 'iso' }), {
    code: 'USAGE',
    message: /--guest nixos/,
  });
  t.end();
});
