import { HarnessError } from '../core/index.js';
import type { Scenario } from '../scenario/index.js';
import type { FindingLog } from './findings.js';

/**
 * Reports an install that failed by the layout's fault: NixOS declines its configuration, or it is known to fail there. Any
 * other says nothing of a layout.
 *
 * @throws What is not the layout's fault.
 */
export function reportFailedInstall(
  error: unknown,
  { scenario, log }: { readonly scenario: Scenario; readonly log: FindingLog },
): void {
  const found = error instanceof HarnessError ? error : undefined;
  const isKnown = scenario.knownBug?.broken.includes('installs') === true;
  if (found?.code === 'SYSTEM_REFUSED') {
    log.add({
      id: 'evaluates',
      title: 'NixOS takes the configuration',
      status: 'fail',
      found: found.message,
      evidence: (found.details ?? '').split('\n'),
      files: [],
    });
  } else if (found?.code === 'INSTALL_FAILED' && isKnown) {
    log.add({
      id: 'installs',
      title: 'the layout can be installed',
      ...(found.place === undefined ? {} : { place: found.place }),
      status: 'fail',
      found: found.message,
      evidence: (found.details ?? '').split('\n'),
      files: ['install.log', 'deploy.log'],
    });
  } else throw error;
}
