import { readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';

import {
  Budget,
  HarnessError,
  lastLines,
  quote,
  type RunningProgram,
  startProgram,
} from '../../core/index.js';
import type { ColdBoot, MachineDisk, MachineSpec } from '../machine-spec.js';
import type { MachineWiring } from '../target.js';
import { LibvirtHost, writeWithHoles } from './host.js';
import type { DomainLabel } from './label.js';
import { makeRemoteFolder } from './remote-folder.js';

/** Disks come back over the network. */
const RETURN_MS = 600_000;
const CLOSE_MS = 10_000;

/**
 * Where the QEMU of a libvirt finds the files of one machine. On this host they are where they are. On another one there
 * is a folder for as long as the machine is on: what is only read is copied there, and what the machine writes is moved
 * there and back, so that nobody can take an old copy for the disk. The lines lead back through ssh.
 */
export class MachinePlace {
  readonly host: LibvirtHost;
  readonly #folder: string | undefined;
  /** Folders of ours; what lay together lies together there, as a disk and the one below it have to. */
  readonly #sources: string[] = [];
  readonly #away = new Set<string>();

  private constructor(host: LibvirtHost, folder?: string) {
    this.host = host;
    this.#folder = folder;
  }

  /** @throws {HarnessError} HOST_UNFIT when ssh does not get there or may not forward sockets; TIMEOUT; INTERRUPTED. */
  static async open(
    uri: string,
    options: Pick<MachineWiring, 'lease' | 'lines' | 'cleanup' | 'budget' | 'onEvent'> & {
      readonly label: DomainLabel;
    },
  ): Promise<MachinePlace> {
    const { lease, lines, cleanup, budget, onEvent } = options;
    const direct = new LibvirtHost(uri);
    if (!direct.isRemote) return new MachinePlace(direct);
    const folder = await makeRemoteFolder(direct, options.label, budget);
    const control = path.join(lease.dir, 'ssh');
    const place = new MachinePlace(new LibvirtHost(uri, control), folder);
    const logFile = path.join(lease.dir, 'ssh.log');
    let tellReady: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => {
      tellReady = resolve;
    });
    // The forwards are there before the command runs. Its input ends with us, however we end.
    const program = startProgram(
      direct.words(`echo ready; cat >/dev/null; rm -rf ${folder}`, [
        ...[
          'ExitOnForwardFailure=yes',
          'ControlMaster=yes',
          'ControlPersist=no',
          `ControlPath=${control}`,
        ].flatMap((option) => ['-o', option]),
        ...Object.entries(lines).flatMap(([name, here]) => ['-R', `${folder}/${name}:${String(here)}`]),
      ]),
      { logFile, onOutput: tellReady, takesInput: true },
    );
    let isClosing = false;
    cleanup.push('removing the folder on the host of libvirt', () => {
      isClosing = true;
      return closeLine(program, direct, folder);
    });
    await lease.noteProcess(program.pid);
    const lost = program.ended.then(async () =>
      explainLoss(direct, await readFile(logFile, 'utf8').catch(() => '')),
    );
    await budget.race(Promise.race([ready, lost.then((error) => Promise.reject(error))]));
    void lost.then((error) => {
      if (!isClosing) onEvent({ kind: 'ended', error });
    });
    cleanup.push('bringing the disks back', () => place.#bringBack());
    return place;
  }

  /** The machine with everything where its QEMU finds it. */
  async bringMachine(
    spec: MachineSpec,
    wiring: MachineWiring,
  ): Promise<{ spec: MachineSpec; wiring: MachineWiring }> {
    const folder = this.#folder;
    if (folder === undefined) return { spec, wiring };
    const { budget } = wiring;
    const bring = (file: string): Promise<string> => this.#bring(file, budget);
    const bringBoot = async (boot: ColdBoot): Promise<ColdBoot> =>
      boot.from === 'disk'
        ? boot
        : { ...boot, kernel: await bring(boot.kernel), initrd: await bring(boot.initrd) };
    const { boot, cdrom, nvramFile } = spec;
    const disks: MachineDisk[] = [];
    for (const disk of spec.disks) disks.push(await this.bringDisk(disk, budget));
    const firmwareStrings: string[] = [];
    for (const file of wiring.firmwareStrings) firmwareStrings.push(await bring(file));
    const nvramThere = await this.#move(wiring.nvramFile, budget);
    return {
      spec: {
        ...spec,
        disks,
        boot:
          boot.from === 'state'
            ? { ...boot, stateFile: await bring(boot.stateFile), began: await bringBoot(boot.began) }
            : boot.from === 'kernel'
              ? await bringBoot(boot)
              : boot,
        ...(cdrom === undefined ? {} : { cdrom: await bring(cdrom) }),
        ...(nvramFile === undefined ? {} : { nvramFile: nvramThere }),
      },
      wiring: {
        ...wiring,
        nvramFile: nvramThere,
        firmwareCode: await bring(wiring.firmwareCode),
        firmwareStrings,
        lines: { serial: `${folder}/serial`, journal: `${folder}/journal`, agent: `${folder}/agent` },
      },
    };
  }

  /** The disk as QEMU finds it. */
  async bringDisk(disk: MachineDisk, budget: Budget): Promise<MachineDisk> {
    if (disk.backingFile !== undefined) await this.#bring(disk.backingFile, budget);
    const file = await (disk.readOnly === true
      ? this.#bring(disk.file, budget)
      : this.#move(disk.file, budget));
    return { ...disk, file };
  }

  /** Settles when a disk that the machine has let go of is ours again. */
  async takeBack(disk: MachineDisk, budget: Budget): Promise<void> {
    if (this.#away.has(disk.file)) await this.fetch(disk.file, budget);
  }

  /** Where QEMU is to write what becomes a file of ours. */
  async prepare(file: string, budget: Budget): Promise<string> {
    const there = this.#pathOf(file);
    if (this.#folder !== undefined) await this.host.run(`mkdir -p ${quote(path.dirname(there))}`, budget);
    return there;
  }

  /** Brings a file from there. It is complete or not there. */
  async fetch(file: string, budget: Budget): Promise<void> {
    if (this.#folder === undefined) return;
    const part = `${file}.part`;
    await this.host.receive(`cat ${quote(this.#pathOf(file))}`, part, budget);
    await rename(part, file);
    this.#away.delete(file);
  }

  async #bringBack(): Promise<void> {
    const { signal } = new AbortController();
    for (const file of [...this.#away])
      await this.fetch(file, Budget.start('a disk to come back', RETURN_MS, signal));
  }

  async #move(file: string, budget: Budget): Promise<string> {
    const there = await this.#bring(file, budget);
    if (this.#folder === undefined) return there;
    this.#away.add(file);
    await rm(file);
    return there;
  }

  async #bring(file: string, budget: Budget): Promise<string> {
    const there = this.#pathOf(file);
    if (this.#folder === undefined) return there;
    const make = `mkdir -p ${quote(path.dirname(there))} && ${writeWithHoles(quote(there))}`;
    await this.host.send(file, make, budget);
    return there;
  }

  #pathOf(file: string): string {
    if (this.#folder === undefined) return file;
    const source = path.dirname(file);
    if (!this.#sources.includes(source)) this.#sources.push(source);
    return path.join(this.#folder, String(this.#sources.indexOf(source)), path.basename(file));
  }
}

/** Ends the connection; the command at its other end removes the folder. */
async function closeLine(line: RunningProgram, host: LibvirtHost, folder: string): Promise<void> {
  const budget = Budget.start('the folder to be removed', CLOSE_MS, new AbortController().signal);
  line.input?.end();
  try {
    const { exitCode } = await budget.race(line.ended);
    if (exitCode !== 0) await host.run(`rm -rf ${folder}`, budget);
  } finally {
    line.kill('SIGKILL');
    await line.ended;
  }
}

function explainLoss({ address }: LibvirtHost, words: string): HarnessError {
  const name = address?.host ?? '';
  if (/forwarding failed/.test(words))
    return new HarnessError('HOST_UNFIT', `${name} does not forward Unix sockets through ssh`, {
      details: lastLines(words, 10),
      hint: 'Its sshd needs `AllowStreamLocalForwarding yes`, which is the default.',
    });
  return new HarnessError('MACHINE_DIED', `The connection to ${name} has ended`, {
    details: lastLines(words, 10),
  });
}
