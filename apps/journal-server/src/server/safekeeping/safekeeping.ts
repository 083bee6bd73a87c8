/** What keeps the journal whole beyond consensus: the export to a backup, and the comparison of replicas. */
import type { ServerConfig } from '../../config/index.ts';
import type { Alarms } from '../alarms.ts';
import type { Checkpoints } from '../checkpoints.ts';
import type { LeaderForwarder } from '../forwarder.ts';
import type { JournalMachine } from '../journal-machine.ts';
import type { Logger } from '../log.ts';
import type { RaftGroup } from '../raft-group.ts';
import { BackupExport } from './backup-export.ts';
import { fetchLeaderState, installFetchedState, type FetchedState } from './rebuild.ts';
import { ReplicaCheck } from './replica-check.ts';

export interface SafekeepingOptions {
  readonly config: ServerConfig;
  readonly group: RaftGroup;
  readonly machine: JournalMachine;
  readonly checkpoints: Checkpoints;
  readonly forwarder: LeaderForwarder;
  readonly alarms: Alarms;
  readonly log: Logger;
  /** Has the server stop, do this, and start again. */
  readonly restart: (between: () => Promise<void>) => void;
}

export class Safekeeping {
  readonly check: ReplicaCheck;
  readonly backup: BackupExport;
  readonly checkpoints: Checkpoints;
  readonly #options: SafekeepingOptions;
  readonly #stopping = new AbortController();

  constructor(options: SafekeepingOptions) {
    const { config, group, machine, checkpoints, forwarder, alarms, log } = options;
    this.#options = options;
    this.checkpoints = checkpoints;
    this.check = new ReplicaCheck({
      facts: () => group.facts(),
      machine,
      checkpoints,
      forwarder,
      alarms,
      log,
      transferLeadership: (to) => group.transferLeadership(to),
      setReluctant: (reluctant) => group.node.setReluctant(reluctant),
      intervalMs: config.storage.digestInterval,
    });
    this.backup = new BackupExport({
      config,
      group,
      machine,
      checkpoints,
      alarms,
      log,
      refusal: () => this.check.refusal,
    });
    group.node.on('roleChange', ({ role }) => {
      if (role === 'leader') this.check.handOn();
    });
  }

  /** Why this replica must not boot nodes or lead; undefined while nothing speaks against it. */
  get refusal(): string | undefined {
    return this.check.refusal;
  }

  /** Fetches the leader's state; once that is here, the server starts anew from it. */
  async rebuild(): Promise<FetchedState> {
    const { config, group, forwarder, restart, log } = this.#options;
    const fetched = await fetchLeaderState({ config, group, forwarder }, this.#stopping.signal);
    log.warn({ index: fetched.stored.meta.index }, 'this replica is rebuilt from the state of the leader');
    restart(() => installFetchedState(config, fetched));
    return fetched;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.check.stop();
    await this.backup.stop();
  }
}
