import path from 'node:path';

import {
  type Budget,
  HarnessError,
  type Lease,
  type RunningProgram,
  startProgram,
} from '../../core/index.js';
import type { Virsh } from './virsh.js';

/** `event 'lifecycle' for domain 'imperm-1': Stopped Shutdown` */
const EVENT = /^event '([\w-]+)' for domain '?([^':]+)'?(?:: (.*))?$/;

/** What libvirt tells of a domain: the kind of event, and its words. */
export interface DomainEvent {
  readonly kind: string;
  readonly text: string;
}

const LOOK_MS = 100;

/** Listens to what libvirt tells of one domain. */
export class DomainEvents {
  readonly #program: RunningProgram;
  readonly #listeners = new Set<(event: DomainEvent) => void>();
  readonly #over: Promise<never>;
  readonly #domain: string;
  #rest = '';

  private constructor(virsh: Virsh, domain: string, logFile: string) {
    this.#domain = domain;
    this.#program = startProgram(virsh.words(['event', '--all', '--loop']), {
      logFile,
      onOutput: (text) => {
        this.#receive(text);
      },
    });
    this.#over = this.#program.ended.then(() => {
      throw new HarnessError('MACHINE_DIED', 'The connection to libvirt has ended');
    });
    this.#over.catch(() => undefined);
  }

  /** @param lease Of the machine. */
  static async listen(
    virsh: Virsh,
    { domain, lease }: { readonly domain: string; readonly lease: Lease },
  ): Promise<DomainEvents> {
    const events = new DomainEvents(virsh, domain, path.join(lease.dir, 'events.log'));
    await lease.noteProcess(events.#program.pid);
    return events;
  }

  /** Settles when nothing is told any more. */
  get over(): Promise<never> {
    return this.#over;
  }

  /**
   * Settles when every later event of the domain will be heard. Nothing says that a listener has been entered, so an
   * event is caused until one comes.
   *
   * @param cause Causes an event of the kind `metadata-change`.
   */
  async waitUntilHeard(cause: () => Promise<unknown>, budget: Budget): Promise<void> {
    const heard = this.waitFor(({ kind }) => kind === 'metadata-change');
    let isHeard = false;
    void heard.then(
      () => (isHeard = true),
      () => undefined,
    );
    await budget.race(
      Promise.race([
        heard,
        budget.poll(async () => {
          await cause();
          return isHeard ? true : undefined;
        }, LOOK_MS),
      ]),
    );
  }

  on(listener: (event: DomainEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** The next event that fits. Call it before causing the event. */
  waitFor(matches: (event: DomainEvent) => boolean): Promise<DomainEvent> {
    const seen = new Promise<DomainEvent>((resolve) => {
      const listener = (event: DomainEvent): void => {
        if (!matches(event)) return;
        this.#listeners.delete(listener);
        resolve(event);
      };
      this.on(listener);
    });
    const result = Promise.race([seen, this.#over]);
    result.catch(() => undefined); // what was to cause it may fail before anybody waits
    return result;
  }

  async close(): Promise<void> {
    this.#program.kill('SIGKILL');
    await this.#program.ended;
  }

  #receive(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, kind, domain, words = ''] = EVENT.exec(line) ?? [];
      if (kind === undefined || domain !== this.#domain) continue;
      for (const listener of [...this.#listeners]) listener({ kind, text: words });
    }
  }
}
