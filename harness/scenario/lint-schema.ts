import { z } from 'zod';
import { line } from './schema-parts.js';

/** What a scenario says about `imperm check`. The names of lints are known to those who lint alone. */
export const lint = z
  .strictObject({
    without: z.record(z.string(), line).default({}).meta({
      description: 'Lints of `imperm check` that are not to count here, by name, each with the reason.',
    }),
  })
  .prefault({})
  .meta({ description: 'What `imperm check` is to leave alone.' });
