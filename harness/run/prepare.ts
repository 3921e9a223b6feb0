import os from 'node:os';
import { readFile } from 'node:fs/promises';

import { Budget, describeFailure, type Environment, HarnessError, monotonicMs } from '../core/index.js';
import { buildImages, type GuestImages, type ImageNeeds, imageNeeds } from '../guest/index.js';
import { openToolbox } from '../host/index.js';
import type { RunEvent } from '../record/index.js';
import type { SystemModel } from '../scenario/index.js';
import { chooseAccelerator } from '../target/index.js';
import { PhaseClock, type RunContext } from './context.js';
import { prepareInstaller } from './installer.js';

/** Building everything from nothing on a slow machine and a slow line. */
const SET_UP_LIMIT_MS = 1_800_000;

export interface PrepareOptions {
  readonly environment: Environment;
  readonly tools: 'private' | 'host';
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
  readonly signal: AbortSignal;
  readonly emit: (event: RunEvent) => void;
  /** Those that will be installed: images are made ready for them. Default none: only what all have in common. */
  readonly systems?: readonly SystemModel[];
}

/**
 * Makes ready what every variant needs: tools, accelerator, images, the saved installer. From the cache, except the
 * first time.
 */
export async function prepareRun(options: PrepareOptions): Promise<RunContext> {
  const { environment, emit, signal } = options;
  const { cacheDir, workDir } = environment;
  const budget = Budget.start('the set-up', SET_UP_LIMIT_MS, signal);
  const phases = new PhaseClock(emit, monotonicMs);
  const note = (text: string): void => {
    emit({ type: 'note', level: 'info', text });
  };
  const onWait = (): void => {
    note('Another imperm is making the same thing; waiting for it.');
  };
  const toolbox = await phases.run('tools', () =>
    openToolbox({
      kind: options.tools,
      cacheDir,
      mirror: environment.debianMirror,
      budget,
      onBuild: () => {
        note('Unpacking QEMU, firmware and tools (once, 310 MB).');
      },
    }),
  );
  const accelerator = await phases.run('accelerator', () =>
    chooseAccelerator({ wanted: options.accelerator, toolbox, cacheDir, workDir, budget }),
  );
  emit({
    type: 'host',
    host: {
      accelerator: accelerator.kind,
      acceleratorReason: accelerator.reason,
      qemu: toolbox.qemuVersion,
      firmware: toolbox.firmwareVersion,
      cpus: os.availableParallelism(),
      memoryMiB: await totalMemoryMiB(),
      node: process.version,
    },
  });
  if (accelerator.kind === 'tcg') {
    emit({
      type: 'note',
      level: 'warn',
      text: `Machines are emulated (TCG), about ten times slower than with KVM; every time limit is multiplied by ${String(accelerator.timeScale)}. ${accelerator.reason}`,
    });
  }
  const keyOf = (needs: ImageNeeds): string => JSON.stringify(needs);
  const images = await phases.run('images', async () => {
    const build = (needs?: ImageNeeds): Promise<GuestImages> =>
      buildImages({
        toolbox,
        cacheDir,
        mirror: environment.debianMirror,
        ...(needs === undefined ? {} : { needs }),
        budget,
        onWait,
        onBuild: ({ packages, signedModules }) => {
          const more = [...packages, ...(signedModules ? ['signed kernel modules'] : [])];
          note(
            more.length === 0
              ? 'Building the installer and the guest from Debian packages (once, about half a minute).'
              : `Building a guest with ${more.join(', ')} from Debian packages (once, about a minute).`,
          );
        },
      });
    const base = await build();
    const sets = new Map<string, GuestImages>();
    for (const needs of (options.systems ?? []).map(imageNeeds)) {
      const key = keyOf(needs);
      sets.set(key, sets.get(key) ?? (await build(needs)));
    }
    return { base, sets };
  });
  const host = { toolbox, accelerator, workDir };
  const installer = await phases.run('installer', () =>
    prepareInstaller({
      host,
      images: images.base.installer,
      cacheDir,
      signal,
      onWait,
      onBuild: () => {
        note('Booting the installer to keep its state (once).');
      },
      onConsoleLine: (line) => {
        emit({ type: 'console', line: line.text });
      },
      onCleanupError: (what, error) => {
        emit({ type: 'note', level: 'warn', text: `${what}: ${describeFailure(error)}` });
      },
    }),
  );
  const imagesFor = (system: SystemModel): GuestImages => {
    const found = images.sets.get(keyOf(imageNeeds(system)));
    if (found === undefined)
      throw new HarnessError('INTERNAL', 'Internal error: the images of this system were not prepared');
    return found;
  };
  return { host, imagesFor, installer, signal, timeScale: accelerator.timeScale, emit };
}

async function totalMemoryMiB(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Math.round(Number(/^MemTotal:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024);
}
