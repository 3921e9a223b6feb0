import { copyFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import path from 'node:path';

import { type Budget, type RunningProgram, startProgram } from '../core/index.js';
import type { Toolbox } from '../host/index.js';

const MODEL = 'QEMU NVMe Ctrl';

export interface BenchDisk {
  readonly serial: string;
  readonly sizeMiB: number;
}

/** A console that is there whether the machine has power or not, as that of a management controller. */
const CONSOLE_CLIENT = `import { connect } from 'node:net';
const open = () => {
  const socket = connect(process.argv[2]);
  process.stdin.removeAllListeners('data');
  process.stdin.on('data', (chunk) => socket.write(chunk));
  socket.on('data', (chunk) => process.stdout.write(chunk));
  socket.on('error', () => undefined);
  socket.on('close', () => setTimeout(open, 200));
};
open();
`;

/** Tells the switch what to do, and waits until it is done. */
const SWITCH_CLIENT = `import { connect } from 'node:net';
const socket = connect(process.argv[2], () => socket.write(process.argv[3]));
let said = '';
socket.on('data', (chunk) => (said += chunk));
socket.on('close', () => process.exit(said === 'done' ? 0 : 1));
socket.on('error', () => process.exit(1));
`;

/**
 * Stands in for real hardware, for tests: a machine with NVMe disks, a USB stick to start from, and a network card, which
 * the harness reaches by SSH alone. Its power switch and its console are commands.
 */
export class BenchMachine implements AsyncDisposable {
  readonly folder: string;
  readonly sshPort: number;
  readonly systemPort: number;
  /** How often its power was switched on. */
  powerOns = 0;
  readonly #toolbox: Toolbox;
  readonly #disks: readonly BenchDisk[];
  readonly #memoryMiB: number;
  readonly #switch: Server;
  #qemu: RunningProgram | undefined;

  private constructor(options: BenchOptions & { readonly ports: readonly [number, number] }) {
    this.folder = options.folder;
    this.#toolbox = options.toolbox;
    this.#disks = options.disks;
    this.#memoryMiB = options.memoryMiB;
    [this.sshPort, this.systemPort] = options.ports;
    this.#switch = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (word: Buffer) => {
        void this.#turn(word.toString()).then(
          () => socket.end('done'),
          () => socket.destroy(),
        );
      });
    });
  }

  /** Everything but its power. The stick is the file `installer.img` in the folder. */
  static async make(options: BenchOptions, budget: Budget): Promise<BenchMachine> {
    const ports = await freePorts();
    const bench = new BenchMachine({ ...options, ports });
    await copyFile(options.toolbox.firmwareVars, bench.#file('nvram.fd'));
    for (const { serial, sizeMiB } of options.disks)
      await options.toolbox.run(
        'qemu-img',
        ['create', '-q', '-f', 'raw', bench.diskFile(serial), `${String(sizeMiB)}M`],
        budget,
      );
    await writeFile(bench.#file('console.mjs'), CONSOLE_CLIENT);
    await writeFile(bench.#file('switch.mjs'), SWITCH_CLIENT);
    await new Promise<void>((resolve) => bench.#switch.listen(bench.#file('switch'), resolve));
    return bench;
  }

  diskFile(serial: string): string {
    return this.#file(`${serial}.raw`);
  }

  /** What the host file says of a disk. */
  describeDisk(serial: string): string {
    const sizeMiB = this.#disks.find((disk) => disk.serial === serial)?.sizeMiB ?? 0;
    return `{ serial: ${serial}, model: ${MODEL}, size: ${String(sizeMiB * 2 ** 20)} }`;
  }

  /** What the host file says of its console and its power switch. */
  get commands(): { readonly console: string; readonly power: string } {
    const node = JSON.stringify(process.execPath);
    const command = (word: string): string =>
      `[${node}, ${this.#file('switch.mjs')}, ${this.#file('switch')}, ${word}]`;
    return {
      console: `console: { command: [${node}, ${this.#file('console.mjs')}, ${this.#file('serial')}] }\n`,
      power: `power: { off: ${command("'off'")}, on: ${command("'on'")} }\n`,
    };
  }

  powerOn(): void {
    this.powerOns += 1;
    const { args, env } = this.#toolbox.command('qemu-system-x86_64', this.#arguments());
    this.#qemu = startProgram(args, { logFile: this.#file('qemu.log'), env });
  }

  async powerOff(): Promise<void> {
    const qemu = this.#qemu;
    this.#qemu = undefined;
    qemu?.kill('SIGKILL');
    await qemu?.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.powerOff();
    this.#switch.close();
  }

  async #turn(word: string): Promise<void> {
    if (word === 'off') await this.powerOff();
    else if (this.#qemu === undefined) this.powerOn();
  }

  #file(name: string): string {
    return path.join(this.folder, name);
  }

  #arguments(): string[] {
    const { firmwareCode } = this.#toolbox;
    const forward = (port: number, guest: number): string =>
      `hostfwd=tcp:127.0.0.1:${String(port)}-:${String(guest)}`;
    return [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-accel', 'tcg,thread=multi'],
      ...['-machine', 'q35', '-cpu', 'Nehalem,+aes,+pclmulqdq', '-m', String(this.#memoryMiB)],
      ...['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${firmwareCode}`],
      ...['-drive', `if=pflash,format=raw,unit=1,file=${this.#file('nvram.fd')}`],
      ...['-chardev', `socket,id=serial,path=${this.#file('serial')},server=on,wait=off`],
      ...['-serial', 'chardev:serial', '-device', 'bochs-display', '-device', 'virtio-rng-pci'],
      ...['-device', 'qemu-xhci', '-device', 'usb-storage,drive=stick,removable=on'],
      ...['-drive', `if=none,id=stick,format=raw,file=${this.#file('installer.img')}`],
      ...this.#disks.flatMap(({ serial }, index) => [
        '-drive',
        `if=none,id=disk${String(index)},format=raw,file=${this.diskFile(serial)}`,
        '-device',
        `nvme,drive=disk${String(index)},serial=${serial}`,
      ]),
      '-netdev',
      `user,id=net,restrict=on,${forward(this.sshPort, 22)},${forward(this.systemPort, this.systemPort)}`,
      ...['-device', 'e1000e,netdev=net,romfile='],
    ];
  }
}

export interface BenchOptions {
  /** Short: sockets lie in it. */
  readonly folder: string;
  readonly toolbox: Toolbox;
  readonly disks: readonly BenchDisk[];
  readonly memoryMiB: number;
}

/** Two ports that nobody has at this moment. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => {
            resolve((server.address() as AddressInfo).port);
          });
        }),
    ),
  );
  for (const server of servers) server.close();
  return [ports[0] ?? 0, ports[1] ?? 0];
}
