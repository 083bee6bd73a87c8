/**
 * Tells systemd how this service is (sd_notify(3)), by way of its own program systemd-notify: Node has no datagram sockets
 * of the Unix kind. The unit needs `NotifyAccess=all`, because it is another process that speaks.
 */
import { execFile } from 'node:child_process';
import type { Logger } from './log.ts';

/** Says nothing at all where no service manager asked for it. */
export class ServiceManager {
  readonly #log: Logger;
  readonly #asked: boolean;
  readonly #watchdogMs: number;
  #failed = false;
  #watched = false;

  constructor(env: Readonly<Record<string, string | undefined>>, log: Logger) {
    this.#log = log;
    this.#asked = (env['NOTIFY_SOCKET'] ?? '') !== '';
    const watchdogUs = Number(env['WATCHDOG_USEC'] ?? 0);
    this.#watchdogMs = this.#asked && watchdogUs > 0 ? watchdogUs / 1_000 : 0;
  }

  /** The service answers. From the first time on the watchdog is told so as well, as long as the event loop turns. */
  ready(status: string): void {
    this.#notify('READY=1', `STATUS=${status}`);
    if (this.#watchdogMs === 0 || this.#watched) return;
    this.#watched = true;
    setInterval(() => {
      this.#notify('WATCHDOG=1');
    }, this.#watchdogMs / 3).unref();
  }

  /** It is stopping in order: the watchdog is still told, because that may take a while. */
  stopping(): void {
    this.#notify('STOPPING=1', 'STATUS=stopping: finishing what is under way');
  }

  #notify(...assignments: readonly string[]): void {
    if (!this.#asked) return;
    execFile('systemd-notify', assignments, (error) => {
      if (error === null || this.#failed) return;
      this.#failed = true;
      this.#log.warn(
        { err: error },
        'systemd could not be told how this service is: is systemd-notify installed?',
      );
    });
  }
}
