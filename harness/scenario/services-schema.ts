import { z } from 'zod';

/** The services of a system; each is off when nothing is said, and costs nothing then. */
export const SERVICES_SHAPE = {
  sudo: z
    .strictObject({
      enable: z.boolean().default(false),
      extraConfig: z.string().default('').meta({ description: 'Lines for /etc/sudoers.' }),
    })
    .prefault({})
    .meta({ description: 'security.sudo' }),
};

/** What a scenario says about services, defaults filled in. */
export type Services = {
  readonly [Name in keyof typeof SERVICES_SHAPE]: z.output<(typeof SERVICES_SHAPE)[Name]>;
};
