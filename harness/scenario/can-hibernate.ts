import type { SystemModel } from './model.js';

/** Units of stage 1 that are reached only when no sleeping system is resumed: who is after one of them is after the resume. */
export const AFTER_RESUME: readonly string[] = ['local-fs-pre.target', 'systemd-hibernate-resume.service'];

/**
 * Whether a system has what it can sleep on. Systemd tells stage 1 by a variable of the firmware where it sleeps, so no
 * `resumeDevice` is needed; swap whose key is made up at every boot cannot be read again.
 */
export function canHibernate({ resumeDevice, swapDevices }: SystemModel): boolean {
  return resumeDevice !== undefined || swapDevices.some(({ randomEncryption }) => !randomEncryption);
}
