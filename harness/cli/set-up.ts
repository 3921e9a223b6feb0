import { Budget, type Environment } from '../core/index.js';
import { ensurePackages, hostNeeds, readDistro } from '../host/index.js';
import { createEventBus } from '../record/index.js';
import { createLiveReporter } from '../report/index.js';
import { prepareRun } from '../run/index.js';
import { ask } from './ask.js';
import { openChosenTarget } from './choose-target.js';
import type { HostOptions } from './options.js';
import { withSignals } from './signals.js';

const PACKAGES_LIMIT_MS = 900_000;

/** Host packages that a run cannot do without; installed after a yes. */
export async function ensureHostPackages(
  options: HostOptions,
  environment: Environment,
  signal: AbortSignal,
): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  await ensurePackages({
    needs: hostNeeds(isRoot),
    distro: await readDistro(),
    isRoot,
    assumeYes: options.yes || environment.ci,
    interactive: process.stdin.isTTY && process.stderr.isTTY && !environment.ci,
    ask: askYesOrNo,
    log: (line) => process.stderr.write(`imperm: ${line}\n`),
    budget: Budget.start('host packages to be installed', PACKAGES_LIMIT_MS, signal),
  });
}

async function askYesOrNo(question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await ask(`${question} [y/N] `));
}

/** Everything that a first run would do before its first machine. */
export async function setUp(options: HostOptions, environment: Environment): Promise<void> {
  await withSignals(async (signal) => {
    await ensureHostPackages(options, environment, signal);
    const bus = createEventBus();
    bus.subscribe(
      createLiveReporter({
        stream: process.stderr,
        isTty: process.stderr.isTTY && !environment.ci,
        columns: () => process.stderr.columns || 80,
      }),
    );
    try {
      await prepareRun({
        environment,
        tools: options.tools,
        accelerator: options.accel,
        target: await openChosenTarget(options, { workDir: environment.workDir, signal }),
        scenarios: [],
        signal,
        emit: (event) => {
          bus.emit(event);
        },
      });
    } finally {
      bus.close();
    }
  });
}
