import { type Budget, HarnessError } from '../../core/index.js';
import type { MachineShell } from '../shell.js';

const FOLDER = '/sys/firmware/efi/efivars';
/** EFI_GLOBAL_VARIABLE, UEFI specification 2.10, 3.3. */
const VENDOR = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** Kept without power, for boot services and for the running system. */
const ATTRIBUTES = [7, 0, 0, 0];

/** What the firmware starts, as the numbers of its entries: `0003`. */
export interface BootVariables {
  /** What it has started now. */
  readonly current: string;
  readonly order: readonly string[];
  /** Every entry there is. */
  readonly entries: readonly string[];
}

const MOUNT = `mountpoint -q ${FOLDER} || mount -t efivarfs efivarfs ${FOLDER}`;

function fileOf(name: string): string {
  return `${FOLDER}/${name}-${VENDOR}`;
}

/** Sixteen-bit numbers behind the attributes. */
function showNumbers(name: string): string {
  return `od -An -v -tx2 -w2 -j4 ${fileOf(name)} 2>/dev/null | tr -d ' ' | tr '\\n' ' '`;
}

/**
 * Asks a running machine what its firmware starts.
 *
 * @throws {HarnessError} HOST_UNFIT when it was not started by UEFI, does not show its variables, or not what was started.
 */
export async function readBootVariables(shell: MachineShell, budget: Budget): Promise<BootVariables> {
  const asked = await shell.execute(
    `${MOUNT} || exit 9
current=$(${showNumbers('BootCurrent')}); order=$(${showNumbers('BootOrder')})
printf 'current %s\\norder %s\\nentries' "$current" "$order"
for file in ${FOLDER}/Boot[0-9A-F][0-9A-F][0-9A-F][0-9A-F]-${VENDOR}; do
  file=\${file##*/Boot}; printf ' %s' "\${file%%-*}"
done`,
    budget,
  );
  if (asked.exitCode !== 0) {
    throw new HarnessError(
      'HOST_UNFIT',
      `The installer shows no variables of the firmware: it was not started by UEFI`,
      {
        details: asked.stderr,
        hint: 'Switch the firmware from legacy (CSM, BIOS) to UEFI, and start the installer anew.',
      },
    );
  }
  const words = (name: string): string[] =>
    (new RegExp(`^${name} (.*)$`, 'm').exec(asked.stdout.toString('utf8'))?.[1] ?? '')
      .split(' ')
      .filter((word) => /^[0-9a-f]{4}$/i.test(word))
      .map((word) => word.toUpperCase());
  const [current] = words('current');
  if (current === undefined) {
    throw new HarnessError('HOST_UNFIT', 'The firmware does not say what it has started (BootCurrent)', {
      hint: 'imperm has to know how to start the installer again. Start it by an entry of the firmware.',
    });
  }
  return { current, order: words('order'), entries: words('entries') };
}

/** What the machine starts next, once; then the order counts again. */
export function setBootNext(entry: string, shell: MachineShell, budget: Budget): Promise<void> {
  return write('BootNext', [entry], shell, budget);
}

export function setBootOrder(order: readonly string[], shell: MachineShell, budget: Budget): Promise<void> {
  return write('BootOrder', order, shell, budget);
}

export async function removeEntry(entry: string, shell: MachineShell, budget: Budget): Promise<void> {
  await shell.run(`${MOUNT} && rm -f ${fileOf(`Boot${entry}`)}`, budget);
}

/** In one piece, as the file system of variables wants it. */
async function write(
  name: string,
  entries: readonly string[],
  shell: MachineShell,
  budget: Budget,
): Promise<void> {
  const value = Buffer.from([
    ...ATTRIBUTES,
    ...entries.flatMap((entry) => {
      const number = Number.parseInt(entry, 16);
      return [number & 0xff, number >> 8];
    }),
  ]);
  await shell.run(`${MOUNT} && cat >${fileOf(name)}`, budget, { input: value });
}
