import path from 'node:path';

import {
  type Rollback,
  type Scenario,
  type ScenarioFile,
  type StageOneKind,
  type SystemModel,
  type Variant,
  whyNotNixos,
} from '../scenario/index.js';

/** Version of the form that nix/ reads. */
const VERSION = 1;

/** What nix/ makes NixOS systems of: a scenario's systems as JSON, with nothing in it that a machine does not need. */
export interface NixDocument {
  readonly imperm: typeof VERSION;
  readonly scenario: string;
  readonly title: string;
  /** By name. Variants that differ only in their disks have one system. */
  readonly systems: Readonly<Record<string, NixSystem>>;
  /** Variants that have no system, such as `firmware=secure-boot`, with the reason. */
  readonly notMapped: Readonly<Record<string, string>>;
}

/** A system, its scripts as text. Names are those of the scenario's model. */
export interface NixSystem {
  readonly stage1: StageOneKind;
  readonly hostName: string;
  readonly luks: readonly object[];
  readonly fileSystems: readonly object[];
  readonly swapDevices: readonly object[];
  readonly resumeDevice?: string;
  readonly rollback?: NixRollback;
  readonly persistence: readonly object[];
  readonly users: readonly object[];
  readonly hostKeys: readonly object[];
  /** Links below /etc, without `/etc/`. */
  readonly etc: readonly { readonly path: string; readonly source: string }[];
  readonly tmpfiles: readonly string[];
  readonly services: SystemModel['services'];
  /** Modules of the scenario's own: the name of each file, and what is in it. */
  readonly nixModules?: readonly { readonly name: string; readonly text: string }[];
  /** It comes as a disk image, which its first boot completes. */
  readonly image?: true;
}

/** What the kind of stage 1 runs, and nothing of the other kind. */
interface NixRollback {
  readonly service?: object;
  readonly hook?: object;
  readonly blankSnapshot?: string;
}

/** The axes that make another system; a disk's bus and sectors do not. */
const SYSTEM_AXES = ['stage1', 'luks'] as const;

/**
 * Names the system of every variant of a scenario.
 *
 * @returns The scenario's name, and after it the values of the axes that make more than one system of it:
 * `btrfs-luks-rollback-scripted-key-file`. A variant that NixOS has nothing for has no name.
 */
export function nixSystemNames(file: ScenarioFile): readonly (string | undefined)[] {
  const mapped = file.variants.filter(isMapped);
  const telling = SYSTEM_AXES.filter((axis) => new Set(mapped.map(({ axes }) => axes[axis])).size > 1);
  return file.variants.map((variant) =>
    isMapped(variant) ? [file.name, ...telling.map((axis) => variant.axes[axis])].join('-') : undefined,
  );
}

function isMapped({ scenario }: Variant): boolean {
  return whyNotNixos(scenario.system) === undefined;
}

/** Makes a document of systems that belong to several scenarios. */
export function collectSystems(systems: Readonly<Record<string, NixSystem>>): NixDocument {
  return { imperm: VERSION, scenario: 'run', title: 'The systems of a run', systems, notMapped: {} };
}

/** Makes the document of a scenario. */
export function makeNixDocument(file: ScenarioFile): NixDocument {
  const names = nixSystemNames(file);
  const systems: Record<string, NixSystem> = {};
  for (const [index, { scenario }] of file.variants.entries()) {
    const name = names[index];
    if (name !== undefined) systems[name] ??= describeSystem(scenario);
  }
  return {
    imperm: VERSION,
    scenario: file.name,
    title: file.title,
    systems,
    notMapped: Object.fromEntries(
      file.variants.flatMap(({ scenario }) => {
        const reason = whyNotNixos(scenario.system);
        return reason === undefined ? [] : [['firmware=secure-boot', reason]];
      }),
    ),
  };
}

/** A system as nix/ reads it. */
export function describeSystem({ system }: Pick<Scenario, 'system'>): NixSystem {
  const { rollback, image } = system;
  return {
    stage1: system.stage1,
    hostName: system.hostName,
    luks: system.luks.map(({ name, device, allowDiscards, unlock }) => ({
      name,
      device,
      allowDiscards,
      unlock,
    })),
    fileSystems: system.fileSystems.map((each) => ({
      mountPoint: each.mountPoint,
      device: each.device,
      fsType: each.fsType,
      options: each.options,
      neededForBoot: each.explicitNeededForBoot,
      inStageOne: each.neededForBoot,
      ...(each.subvolume === undefined ? {} : { subvolume: each.subvolume }),
    })),
    swapDevices: system.swapDevices.map(({ device, randomEncryption }) => ({ device, randomEncryption })),
    ...(system.resumeDevice === undefined ? {} : { resumeDevice: system.resumeDevice }),
    ...(rollback === undefined ? {} : { rollback: describeRollback(rollback, system.stage1) }),
    persistence: system.persistence.map(({ root, hideMounts, directories, files }) => ({
      root,
      hideMounts,
      directories: directories.map(({ path, source, user, group, mode, inStageOne }) => ({
        path,
        source,
        user,
        group,
        mode,
        inStageOne,
      })),
      files: files.map(({ path, source, method }) => ({ path, source, method })),
    })),
    users: system.users.map(({ name, isNormalUser, uid, hashedPasswordFile }) => ({
      name,
      isNormalUser,
      uid,
      hashedPasswordFile,
    })),
    hostKeys: system.openssh.hostKeys.map(({ path, type, bits }) => ({ path, type, bits })),
    etc: system.links
      .filter(({ by }) => by === 'etc')
      .map(({ path, source }) => ({ path: path.slice('/etc/'.length), source })),
    tmpfiles: system.tmpfiles,
    services: system.services,
    ...(system.nixModules.length === 0
      ? {}
      : {
          nixModules: system.nixModules.map(({ file, text }) => ({ name: path.basename(file), text })),
        }),
    ...(image === undefined ? {} : { image: true }),
  };
}

function describeRollback(rollback: Rollback, stage1: StageOneKind): NixRollback {
  const { hook, order, script } = rollback.scripted;
  const ran: NixRollback =
    stage1 === 'scripted'
      ? { hook: { hook, order, script: script.text } }
      : {
          service: {
            name: rollback.name,
            description: rollback.description,
            after: rollback.after,
            before: rollback.before,
            requires: rollback.requires,
            wantedBy: rollback.wantedBy,
            requiredBy: rollback.requiredBy,
            remainAfterExit: rollback.remainAfterExit,
            script: rollback.script.text,
          },
        };
  const { blankSnapshot } = rollback;
  return { ...ran, ...(blankSnapshot === undefined ? {} : { blankSnapshot }) };
}
