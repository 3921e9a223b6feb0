import { createReadStream } from 'node:fs';

import { type Environment, HarnessError } from '../core/index.js';
import {
  buildImages,
  debianImageContent,
  type GuestImages,
  type ImageNeeds,
  imageNeeds,
  INSTALLER_DIR,
  listForeignOwners,
  makeDiskImage,
  makePayload,
  renderInstallScript,
} from '../guest/index.js';
import type { Scenario, SystemModel } from '../scenario/index.js';
import { EMULATED_KERNEL } from './budgets.js';
import type { PreparationContext } from './preparation.js';
import type { Guest, PreparedSystem, PrepareSystemOptions } from './guest.js';
import { type Installer, prepareInstaller } from './installer.js';

const PRELOAD = `set -e
modprobe -a qemu_fw_cfg efivarfs btrfs ext4 vfat nls_cp437 nls_ascii nls_iso8859_1 dm_crypt xts aesni_intel
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
for tool in cryptsetup btrfs parted bootctl mkfs.vfat sgdisk; do "$tool" --version >/dev/null 2>&1 || true; done
`;

/**
 * The NixOS-shaped guest made of Debian packages.
 *
 * @param options.systems Those that will be installed: images are made ready for them. None: only what all have in
 * common.
 */
export async function prepareDebianGuest(
  context: PreparationContext,
  options: { readonly environment: Environment; readonly systems: readonly SystemModel[] },
): Promise<Guest> {
  const { host, phases, budget, note, onWait } = context;
  const { cacheDir, debianMirror } = options.environment;
  const machineKind = { hardware: context.hardware !== undefined };
  const keyOf = (needs: ImageNeeds): string => JSON.stringify(needs);
  const images = await phases.run('images', async () => {
    const build = (needs: ImageNeeds): Promise<GuestImages> =>
      buildImages({
        toolbox: host.toolbox,
        cacheDir,
        mirror: debianMirror,
        needs,
        budget,
        onWait,
        onBuild: ({ packages, signedModules, hardware }) => {
          const more = [
            ...packages,
            ...(signedModules ? ['signed kernel modules'] : []),
            ...(hardware ? ['the kernel for real machines'] : []),
          ];
          note(
            more.length === 0
              ? 'Building the installer and the guest from Debian packages (once, about half a minute).'
              : `Building a guest with ${more.join(', ')} from Debian packages (once, about a minute).`,
          );
        },
      });
    const base = await build({ packages: [], signedModules: false, ...machineKind });
    const sets = new Map<string, GuestImages>();
    for (const needs of options.systems.map((system) => imageNeeds(system, machineKind))) {
      const key = keyOf(needs);
      sets.set(key, sets.get(key) ?? (await build(needs)));
    }
    return { base, sets };
  });
  const { kernel, initrd, key } = images.base.installer;
  const fast = host.accelerator.timeScale > 1 ? ` ${EMULATED_KERNEL}` : '';
  const commandLine = `console=ttyS0 rdinit=/usr/lib/systemd/systemd systemd.show_status=1${fast}`;
  const installer: Installer =
    context.hardware === undefined
      ? await prepareInstaller(
          { boot: { from: 'kernel', kernel, initrd, commandLine }, key, preload: PRELOAD },
          { ...context, cacheDir },
        )
      : // Nobody hands such a machine its own key: it has it.
        { medium: 'real', keys: { ...context.hardware.installerKeys, clientPublic: '', hostPrivate: '' } };
  const imagesFor = (system: SystemModel): GuestImages => {
    const found = images.sets.get(keyOf(imageNeeds(system, machineKind)));
    if (found === undefined)
      throw new HarnessError('INTERNAL', 'Internal error: the images of this system were not prepared');
    return found;
  };
  return {
    name: 'debian',
    installer,
    prepareSystem: (scenario, prepare) =>
      prepareSystem(scenario, imagesFor(scenario.system), {
        ...prepare,
        isUploaded: context.hardware !== undefined,
      }),
    images: {
      write: async (scenario, { file, diskMiB, ...prepare }) => {
        const own = imagesFor(scenario.system);
        const payload = await makePayload(scenario, own, prepare);
        const content = debianImageContent(own, payload);
        await makeDiskImage(scenario.system, content, { ...prepare, file, diskMiB });
      },
      listForeignOwners: ({ system }, part) => listForeignOwners(system, imagesFor(system), part),
    },
  };
}

async function prepareSystem(
  scenario: Scenario,
  images: GuestImages,
  options: PrepareSystemOptions & {
    /** No disk with the archive can be plugged in. */
    readonly isUploaded: boolean;
  },
): Promise<PreparedSystem> {
  const { isUploaded } = options;
  const archive = isUploaded ? `${INSTALLER_DIR}/system.tar` : '/dev/disk/by-id/virtio-system';
  const payload = await makePayload(scenario, images, options);
  const espMountPoint =
    scenario.system.fileSystems.find(({ fsType }) => fsType === 'vfat')?.mountPoint ?? '/boot';
  const secureBoot = scenario.system.secureBoot !== undefined;
  const script = renderInstallScript(images, payload, { archive, espMountPoint, secureBoot });
  return {
    disks: isUploaded
      ? []
      : [{ name: 'system', bus: 'virtio', file: images.systemTar, format: 'raw', readOnly: true }],
    install: async ({ machine, shell }, budget) => {
      if (isUploaded)
        await shell.run(`cat >${archive}`, budget, { input: createReadStream(images.systemTar) });
      await shell.run(`cat >${INSTALLER_DIR}/payload.tar`, budget, { input: payload.storeTar });
      await shell.run(`cat >${INSTALLER_DIR}/stage-one`, budget, { input: payload.stageOne });
      return machine.until(shell.execute(`{ ${script} } 2>&1`, budget), budget);
    },
  };
}
