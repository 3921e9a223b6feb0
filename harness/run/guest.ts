import type { Budget } from '../core/index.js';
import type { listForeignOwners } from '../guest/index.js';
import type { Toolbox } from '../host/index.js';
import type { DiskImage, KnownBug, Scenario, SystemModel } from '../scenario/index.js';
import type { CommandResult, MachineDisk, MachineShell, Machine } from '../target/index.js';
import type { Installer } from './installer.js';

export interface PrepareSystemOptions {
  readonly toolbox: Toolbox;
  /** For files that are gone after the variant. */
  readonly workDir: string;
  /** Opens the LUKS devices that are unlocked by a key file. */
  readonly luksKey: string;
  /** Added to the kernel's parameters. Default none. */
  readonly parameters?: readonly string[];
  readonly budget: Budget;
}

/** A system that can be put on a disk. */
export interface PreparedSystem {
  /** Plugged into the installer after the scenario's own disks. */
  readonly disks: readonly MachineDisk[];
  /**
   * Brings what the install script needs into the installer. Absent: it needs nothing.
   *
   * @returns Variables for the script.
   */
  bringTools?(
    installer: { readonly machine: Machine; readonly shell: MachineShell },
    budget: Budget,
  ): Promise<Readonly<Record<string, string>>>;
  /**
   * Puts the system on the disk that the install script has left mounted below /mnt, boot loader included.
   *
   * @returns Output and exit code of what installs it.
   */
  install(
    installer: { readonly machine: Machine; readonly shell: MachineShell },
    budget: Budget,
  ): Promise<CommandResult>;
}

export type ImageScenario = Scenario & { readonly system: SystemModel & { readonly image: DiskImage } };

/** The operating system under test: how it is made, and what it is installed with. One implementation for each. */
export interface Guest {
  /** As records and reports name it. */
  readonly name: string;
  /** What the installer is started from, and the machine that looks into powered-off disks. */
  readonly installer: Installer;
  /** Why it has no such system. Absent, or undefined: it has. */
  readonly whyNot?: (scenario: Scenario) => string | undefined;
  /** How the system of a scenario has to fail. Absent, or undefined: as the scenario itself says. */
  readonly knownBug?: (scenario: Scenario) => KnownBug | undefined;
  /** Makes the system of a scenario ready. */
  prepareSystem(scenario: Scenario, options: PrepareSystemOptions): Promise<PreparedSystem>;
  /** Absent: it has no disk images, and no scenario with one is planned for it. */
  readonly images?: {
    /** Writes the image of a scenario that has no installer to its disk. */
    write(
      scenario: ImageScenario,
      options: PrepareSystemOptions & { readonly file: string; readonly diskMiB: number },
    ): Promise<void>;
    /** What in the image belongs to somebody else than root, and has to. */
    listForeignOwners(scenario: ImageScenario, budget: Budget): ReturnType<typeof listForeignOwners>;
  };
}
