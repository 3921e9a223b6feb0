import { z } from 'zod';
import { CONSOLE_CLASS_NAMES } from './console-class.js';
import { absolutePath, line, script } from './schema-parts.js';

/** The section `promises` of a scenario: what does not follow from the system. */
export const promises = z.strictObject({
  kept: z
    .array(
      z.union([
        absolutePath,
        z.strictObject({ directory: absolutePath.meta({ description: 'A directory, and what is in it.' }) }),
        z.strictObject({ file: absolutePath.meta({ description: 'A single file.' }) }),
      ]),
    )
    .default([])
    .meta({ description: 'More that must survive a boot; a plain path is a directory.' }),
  gone: z
    .array(absolutePath)
    .default([])
    .meta({ description: 'More directories that must be empty after a boot.' }),
  rollbackLog: z
    .array(line)
    .default([])
    .meta({ description: 'Texts that the log of the rollback must contain, in this order.' }),
  checks: z
    .array(
      z.strictObject({
        name: z
          .string()
          .regex(/^[a-z0-9][a-z0-9-]{0,60}$/, 'must consist of a-z, 0-9 and "-"')
          .meta({ description: 'The promise gets the id check:<name>.' }),
        title: line.meta({ description: 'What is promised, as a sentence.' }),
        script: script.meta({
          description:
            'Run as root in the booted system; $BOOT is the number of the boot. Exit code 0: the promise is kept.',
        }),
        fromBoot: z
          .int()
          .min(1, 'must be at least 1')
          .default(1)
          .meta({ description: 'The first boot in which it is looked at.' }),
      }),
    )
    .default([])
    .meta({ description: 'Promises that the scenario proves by scripts of its own.' }),
  without: z.record(z.string(), line).default({}).meta({
    description: 'Promises that would follow from the system but are not made, each with the reason.',
  }),
  console: z
    .array(
      z.strictObject({
        class: z.enum(CONSOLE_CLASS_NAMES).meta({ description: 'What imperm takes the line for.' }),
        match: line.optional().meta({ description: 'Text that the line contains.' }),
        reason: line.meta({ description: 'Why it is harmless.' }),
      }),
    )
    .default([])
    .meta({ description: 'Console lines that look like a failure and are none.' }),
});
