import { Document } from 'yaml';

import { HarnessError } from '../../core/index.js';
import { findHolder } from '../../scenario/index.js';
import type { HostDescription } from './description.js';
import { renderInstall, isInStore, type OwnInstall } from './install-script.js';
import { renderPersistence } from './persisted.js';
import { renderFileRules } from './render-files.js';
import { renderDisks } from './render-disks.js';
import { renderFileSystems } from './render-file-systems.js';
import { renderRollback } from './render-rollback.js';

export interface RenderHostOptions {
  /** As it was asked for: `.#laptop`. */
  readonly reference: string;
  readonly name: string;
  /** Fills the disk in the place of disko. */
  readonly install?: OwnInstall;
}

/** A host as a scenario in the public format. */
export interface HostScenario {
  /** Name of its file, without `.yaml`. */
  readonly name: string;
  readonly text: string;
  /** Full sentences: what of the host is not tested, or cannot work in the virtual machine. */
  readonly warnings: readonly string[];
}

const MEMORY = '4GiB';
/** Whole desktops are installed, too. */
const TIMEOUT = '1h';

/**
 * Writes a scenario of a host: what it mounts, rolls back and persists, so that the promises follow as from any other.
 *
 * @throws {HarnessError} USAGE when the host cannot be tested: another processor, a root that imperm cannot judge, nothing
 * that makes the disk.
 */
export function renderHostScenario(host: HostDescription, options: RenderHostOptions): HostScenario {
  const { name, reference } = options;
  if (host.platform !== 'x86_64-linux')
    throw new HarnessError(
      'USAGE',
      `${name} is for ${host.platform}, and the virtual machine is x86_64-linux`,
    );
  const warnings = [...host.warnings];
  const fileSystems = renderFileSystems(host, name);
  const mountPoints = new Map(
    Object.entries(fileSystems.fileSystems).map(([mountPoint, { inStageOne }]) => [
      mountPoint,
      { inStageOne },
    ]),
  );
  const persisted = renderPersistence(host.persistence, mountPoints);
  const rollback = renderRollback(host);
  const users = renderUsers(host);
  const swaps = host.swapDevices.filter(({ device }) => /^\/dev\/\S+$/.test(device));
  const linksTo = (source: string): boolean => {
    const holder = findHolder(source, [...mountPoints.keys(), ...Object.keys(persisted.persistence)]);
    return holder !== undefined && !['/', '/nix'].includes(holder) && !isInStore(source);
  };
  warnings.push(
    ...fileSystems.warnings,
    ...persisted.warnings,
    ...rollback.warnings,
    ...users.warnings,
    ...host.swapDevices
      .filter((each) => !swaps.includes(each))
      .map(({ device }) => `Swap in the file ${device} is not looked at.`),
  );
  const unlock = chooseUnlock(host, warnings);
  const accounts = users.users.map(([, { hashedPasswordFile }]) => hashedPasswordFile);
  const install = renderInstall(host, {
    name,
    accounts,
    ...(options.install === undefined ? {} : { own: options.install }),
  }).map((text) => ({ text }));
  const forgets = rollback.rollback !== undefined || fileSystems.isTmpfsRoot;
  const tmpfiles = [
    ...persisted.tmpfiles,
    ...host.tmpfiles.filter((rule) => linksTo(rule.trim().split(/\s+/).at(-1) ?? '')),
  ];
  const etc = host.etc.filter(({ source }) => linksTo(source));
  const fileRules = renderFileRules(
    persisted.files,
    host.hostKeys.map(({ path }) => path),
  );
  const hostKeys = host.hostKeys.filter(({ type }) => type === 'ed25519' || type === 'rsa');
  const scenario = {
    imperm: 1,
    title: `${name}, a host of a flake of its own (NixOS ${host.release})`,
    guests: ['nixos'],
    ...(unlock === 'passphrase' ? {} : { matrix: { luks: [unlock] } }),
    machine: { memory: MEMORY },
    disks: renderDisks(host),
    install: install.length === 1 ? install[0] : install,
    system: {
      hostName: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(host.hostName) ? host.hostName : undefined,
      stage1: host.stage1,
      luks: Object.fromEntries(
        host.luks.map((each) => [each.name, { device: each.device, allowDiscards: each.allowDiscards }]),
      ),
      fileSystems: Object.fromEntries(
        Object.entries(fileSystems.fileSystems).map(([mountPoint, { inStageOne: _, ...each }]) => [
          mountPoint,
          each,
        ]),
      ),
      swapDevices: swaps,
      resumeDevice: /^\/dev\/\S+$/.test(host.resumeDevice) ? host.resumeDevice : undefined,
      rollback: fileSystems.isTmpfsRoot ? undefined : rollback.rollback,
      persistence: persisted.persistence,
      users: Object.fromEntries(users.users),
      openssh:
        hostKeys.length === 0
          ? undefined
          : {
              hostKeys: hostKeys.map(({ path, type, bits }) => ({
                type,
                path,
                ...(bits === null || type !== 'rsa' ? {} : { bits }),
              })),
            },
      etc: Object.fromEntries(etc.map(({ path, source }) => [path, { source }])),
      tmpfiles,
    },
    promises: {
      kept: persisted.kept,
      // Whoever keeps state wants the rest to be forgotten: it is promised even where nothing forgets.
      gone: forgets ? [] : ['/'],
      checks: fileRules.checks,
      without: fileRules.without,
    },
    steps: fileRules.steps,
    timeout: TIMEOUT,
  };
  if (!forgets)
    warnings.push(
      `Nothing wipes the root of ${name}: it is no tmpfs, and nothing in stage 1 was found that makes it anew. The promise root-wiped is made all the same, and will be broken.`,
    );
  return {
    name: toFileName(name),
    text: writeYaml(scenario, { reference, name, warnings }),
    warnings,
  };
}

function writeYaml(
  scenario: unknown,
  { reference, name, warnings }: { reference: string; name: string; warnings: readonly string[] },
): string {
  const document = new Document(withoutEmpty(scenario), { aliasDuplicateObjects: false });
  document.commentBefore = [
    `Made by imperm from the host ${name} of ${reference}: what its configuration says, as a scenario.`,
    'What is installed is the host itself; this says what it has to be like. Edit a copy of this file and run it by',
    `  npx imperm run --flake ${reference} ./copy.yaml`,
    ...(warnings.length === 0 ? [] : ['', 'Not tested, or not as in the real machine:']),
    ...warnings.map((warning) => `- ${warning}`),
  ]
    .map((line) => ` ${line}`)
    .join('\n');
  return document.toString({ lineWidth: 0 });
}

/** Without what says nothing: undefined, empty lists and maps. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, each]) => [key, withoutEmpty(each)] as const)
      .filter(
        ([, each]) =>
          each !== undefined && (typeof each !== 'object' || each === null || Object.keys(each).length > 0),
      ),
  );
}

/** What a scenario's file may be called. */
function toFileName(name: string): string {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, '-');
  return /^[a-z0-9]/.test(plain) ? plain : `host-${plain}`;
}

type Account = { isNormalUser?: true; uid?: number; hashedPasswordFile: string };

/** Only accounts whose password the harness can choose: it is in a file that the install makes. */
function renderUsers({ users }: HostDescription): {
  readonly users: readonly (readonly [string, Account])[];
  readonly warnings: readonly string[];
} {
  const warnings: string[] = [];
  const found = users.flatMap(({ name, isNormalUser, uid, hashedPasswordFile }) => {
    if (hashedPasswordFile === null) return [];
    if (hashedPasswordFile.startsWith('/run/')) {
      warnings.push(
        `The password of ${name} comes from ${hashedPasswordFile}, which nothing makes in the virtual machine: nobody logs in as ${name}.`,
      );
      return [];
    }
    if (isInStore(hashedPasswordFile)) return [];
    const account: Account = {
      ...(isNormalUser ? { isNormalUser } : {}),
      ...(uid === null || !isNormalUser ? {} : { uid }),
      hashedPasswordFile,
    };
    return [[name, account] as const];
  });
  return { users: found, warnings };
}

/** A scenario has one way to unlock all its devices. */
function chooseUnlock(
  { luks, stage1, initrdSecrets }: HostDescription,
  warnings: string[],
): 'passphrase' | 'key-file' | 'tpm2' {
  const inInitrd = new Set(initrdSecrets.map(({ path }) => path));
  const kinds = luks.map(({ name, unlock, keyFile }) => {
    if (unlock === 'tpm2' && stage1 === 'systemd') return unlock;
    if (unlock === 'key-file' && keyFile !== null && inInitrd.has(keyFile)) return unlock;
    if (unlock !== 'passphrase')
      warnings.push(
        unlock === 'key-file'
          ? `${name} is unlocked by the key file ${keyFile ?? ''}, which is not in boot.initrd.secrets: the virtual machine has it only if the configuration puts it into stage 1. The harness types the passphrase when it is asked for.`
          : `${name} is unlocked by ${unlock}, which the virtual machine has not: the harness types the passphrase when it is asked for.`,
      );
    return 'passphrase' as const;
  });
  const [first = 'passphrase'] = kinds;
  if (kinds.every((kind) => kind === first)) return first;
  warnings.push(
    'The LUKS devices are unlocked in several ways: the harness types the passphrase where it is asked for.',
  );
  return 'passphrase';
}
