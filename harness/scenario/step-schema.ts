import { z } from 'zod';
import { fault } from './fault-schema.js';
import { line, script } from './schema-parts.js';

/** One thing that is done with the machine. */
export const step = z.union([
  z.enum(['install', 'boot', 'reboot', 'power-cut', 'hibernate', 'power-off']),
  z.strictObject({
    run: script.meta({ description: 'Run as root in the booted system; it must succeed.' }),
  }),
  z.strictObject({
    'power-cut-at': line.meta({
      description:
        'The machine boots, and its power is cut as soon as a line of its console or journal has this text. The next boot is to make up for it.',
    }),
    during: z.enum(['boot', 'shutdown']).default('boot').meta({
      description: 'shutdown: the running system is told to power off, and does not come to the end of it.',
    }),
  }),
  z.strictObject({
    fault: fault.meta({
      description: 'What is done to the machine while it is off; one of the names below.',
    }),
  }),
]);
