import { z } from 'zod';
import { STAGE1_HOOKS } from './axes.js';
import { line, script, units } from './schema-parts.js';

const scriptedRollback = z.strictObject({
  hook: z
    .enum(STAGE1_HOOKS)
    .default('postResumeCommands')
    .meta({ description: 'boot.initrd.<hook>, as in NixOS.' }),
  order: z
    .enum(['before', 'default', 'after'])
    .default('after')
    .meta({ description: 'lib.mkBefore, nothing, lib.mkAfter.' }),
  script: script
    .optional()
    .meta({ description: 'Run by busybox ash without "-e"; default: the script of the service.' }),
});

/** What stage 1 runs before the root is mounted. */
export const rollback = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9:_.\\@-]{1,200}$/, 'must be the name of a systemd service')
    .regex(/^(?!.*\.service$)/, 'must be given without ".service", as in NixOS')
    .default('rollback')
    .meta({ description: 'Name of the service, without ".service".' }),
  description: line
    .default('Roll back the root file system')
    .meta({ description: 'What systemd calls it on the console.' }),
  after: units.default([]).meta({ description: 'It waits for these: unlocked devices, the resume.' }),
  before: units.default([]).meta({ description: 'These wait for it: the mount of the root.' }),
  requires: units.default([]).meta({ description: 'It does not run when one of these fails.' }),
  wantedBy: units.default([]).meta({ description: 'initrd.target: its failure does not stop the boot.' }),
  requiredBy: units.default([]).meta({ description: 'Its failure stops the boot.' }),
  remainAfterExit: z.boolean().default(false).meta({
    description: 'serviceConfig.RemainAfterExit. Without it, whatever requires it starts it again.',
  }),
  blankSnapshot: z
    .string()
    .regex(/^[^/\s][^\s]*$/, 'must be the path of a subvolume from the top level, such as root-blank')
    .optional()
    .meta({ description: 'The read-only snapshot that it restores; absent: it makes an empty subvolume.' }),
  script: script.meta({ description: 'Run with "bash -e" in stage 1, before the root is mounted.' }),
  scripted: scriptedRollback
    .default({ hook: 'postResumeCommands', order: 'after' })
    .meta({ description: 'How scripted stage 1 runs it.' }),
});
