import t from 'tap';

import { loadScenarios } from '../scenario/index.js';
import { planVariant, renderPlan } from './index.js';

const FACTS = { target: 'qemu', guests: ['debian'], memoryMiB: 4096 } as const;

t.test('an image is made where others are installed', async (t) => {
  const files = ['btrfs-image', 'btrfs-image-as-published', 'btrfs-luks-rollback'];
  const loaded = await loadScenarios(files.map((name) => `scenarios/${name}/scenario.yaml`));
  const [image = '', fault = '', installed = ''] = loaded.map(({ variants }) =>
    variants[0] === undefined ? '' : renderPlan(planVariant(variants[0], FACTS)),
  );
  t.match(
    image,
    / 1\. make the image: ESP of 128 MiB, nixos of 1024 MiB with @home, @nix, @persistent; read it/,
  );
  t.notMatch(image, /install with/);
  t.match(fault, /@persistent, all of it owned by 1000:100;/);
  t.match(installed, / 1\. install with scenarios\/btrfs-luks-rollback\/install.sh/);
  t.notMatch(installed, /make the image/);
});

t.test('a boot that is cut is none that counts', async (t) => {
  const [file] = await loadScenarios(['scenarios/btrfs-image-power-cut/scenario.yaml']);
  const [variant] = file?.variants ?? [];
  if (variant === undefined) throw new Error('no variant');
  const text = renderPlan(planVariant(variant, FACTS));
  t.match(text, / 2\. power on, cut the power when it says "Growing partition"/);
  t.match(text, / 5\. .*"Setting the system profile"\n +6\. boot 1: power on,/);
  t.match(text, /boot 2: cut the power, then power on/);
});
