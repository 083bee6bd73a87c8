/** A place in the sources that occurs exactly once, and what to write there instead. */
export interface Patch {
  /** Below `src/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A bug to plant. */
export interface Mutant {
  readonly name: string;
  /** What goes wrong. */
  readonly bug: string;
  readonly patches: readonly Patch[];
}

/** Bugs that consensus libraries have shipped. The simulator must find each of them. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'vote-before-sync',
    bug: 'a vote is answered before it is durable',
    patches: [
      {
        file: 'core/raft/raft.ts',
        find: 'this.messagesAfterAppend.push(message);',
        replace:
          "(message.type === 'MsgVoteResp' && message.to !== this.id ? this.messages : this.messagesAfterAppend).push(message);",
      },
    ],
  },
  {
    name: 'vote-twice',
    bug: 'a voter grants every request of its term',
    patches: [
      {
        file: 'core/raft/election.ts',
        find: '    raft.vote === from ||\n',
        replace: '    raft.vote !== from ||\n',
      },
    ],
  },
  {
    name: 'lead-before-own-vote',
    bug: 'a candidate leads before its own term and vote are durable, and may lead the term twice',
    patches: [
      {
        file: 'runtime/node-loop.ts',
        find: "const held = ready.messages.filter(({ type }) => type === 'MsgVote');",
        replace: 'const held: Message[] = [];',
      },
    ],
  },
  {
    name: 'ack-before-sync',
    bug: 'a follower acknowledges entries before they are durable',
    patches: [
      {
        file: 'core/raft/raft.ts',
        find: 'this.messagesAfterAppend.push(message);',
        replace:
          "(message.type === 'MsgAppResp' && message.to !== this.id ? this.messages : this.messagesAfterAppend).push(message);",
      },
    ],
  },
  {
    name: 'leader-counts-itself',
    bug: 'a leader counts its own entries before they are durable',
    patches: [
      {
        file: 'core/raft/replication.ts',
        find: '  raft.log.append(entries);\n',
        replace: '  raft.log.append(entries);\n  raft.tracker.get(raft.id)?.maybeUpdate(index);\n',
      },
    ],
  },
  {
    name: 'stale-write-answer',
    bug: 'the answer to a write makes stable whatever is at its index now (append ABA)',
    patches: [
      {
        file: 'core/raft/step.ts',
        find: '    // A snapshot is committed state, whatever the term.\n',
        replace:
          '    if (message.index !== NO_INDEX) raft.log.unstable.stableTo(message.logTerm, message.index);\n',
      },
      {
        file: 'core/log/unstable.ts',
        find: 'if (held !== term) {',
        replace: 'if (held < 0) {',
      },
    ],
  },
  {
    name: 'commit-older-term',
    bug: 'entries of older terms are committed by counting (figure 8)',
    patches: [
      {
        file: 'core/log/raft-log.ts',
        find: 'if (index <= this.committed || term === NO_TERM || this.term(index) !== term) return false;',
        replace: 'if (index <= this.committed || index > this.lastIndex()) return false;',
      },
    ],
  },
  {
    name: 'retry-failed-sync',
    bug: 'a failed sync is tried again, and seems to succeed',
    patches: [
      {
        file: 'runtime/append-worker.ts',
        find: '        await this.#logStore.append({ entries, hardState, mustSync });\n',
        replace:
          '        const batch = { entries, hardState, mustSync };\n        await this.#logStore.append(batch).catch(() => this.#logStore.append({ entries: [], hardState, mustSync }));\n',
      },
    ],
  },
  {
    name: 'refused-but-in-log',
    bug: 'a proposal over which a read of the log fails is called not committed, and its entry is carried out',
    patches: [
      {
        file: 'runtime/node-loop.ts',
        find: '      this.fail(reason);\n      throw failedOver(doing, reason);\n',
        replace: '      throw reason;\n',
      },
    ],
  },
  {
    name: 'log-before-snapshot',
    bug: 'the log is moved behind a received snapshot before that is installed',
    patches: [
      {
        file: 'runtime/node-loop.ts',
        find: '      await this.options.snapshotStore.install(stored);\n      await this.options.logStore.reset(index, term, hardState ?? this.#hardState);\n',
        replace:
          '      await this.options.logStore.reset(index, term, hardState ?? this.#hardState);\n      await this.options.snapshotStore.install(stored);\n',
      },
    ],
  },
  {
    name: 'two-changes-pending',
    bug: 'membership changes are appended while others are not applied',
    patches: [
      {
        file: 'core/raft/proposals.ts',
        find: 'if (raft.pendingConfIndex > applied)\n',
        replace: 'if (raft.pendingConfIndex > applied + 1_000_000)\n',
      },
      {
        file: 'runtime/membership-operations.ts',
        find: "    if (this.#operation !== undefined) return Promise.reject(pending('another change is under way'));\n",
        replace: '',
      },
    ],
  },
  {
    name: 'no-auto-leave',
    bug: 'nobody leaves a joint configuration',
    patches: [
      {
        file: 'core/raft/applied.ts',
        find: 'if (!config.autoLeave || applied',
        replace: 'if (config.autoLeave || applied',
      },
    ],
  },
  {
    name: 'outgoing-half-ignored',
    bug: 'in a joint configuration only the new half decides',
    patches: [
      {
        file: 'core/quorum/joint.ts',
        find: 'return minIndex(incoming, majorityCommittedIndex(config.outgoing, acked));',
        replace: 'return incoming;',
      },
    ],
  },
  {
    name: 'learner-refuses-vote',
    bug: 'a voter that still thinks it is a learner refuses to vote',
    patches: [
      {
        file: 'core/raft/election.ts',
        find: 'const granted = mayVote && raft.log.isUpToDate(candidateLast);',
        replace: 'const granted = mayVote && !raft.isLearner && raft.log.isUpToDate(candidateLast);',
      },
    ],
  },
  {
    name: 'no-commit-hint',
    bug: 'a demoted leader blocks the election of its only successor',
    patches: [
      {
        file: 'core/raft/election.ts',
        find: '  if (!raft.config.safeguards || raft.promotable()) return NO_BYTES;\n',
        replace: '  if (raft.id > 0) return NO_BYTES;\n',
      },
    ],
  },
  {
    name: 'early-read',
    bug: 'a new leader answers reads before it has committed anything',
    patches: [
      {
        file: 'core/raft/reads.ts',
        find: '  if (!raft.committedInTerm()) {\n    raft.earlyReads.push(request);',
        replace: '  if (raft.ticks < 0) {\n    raft.earlyReads.push(request);',
      },
    ],
  },
  {
    name: 'any-round-confirms',
    bug: 'a late answer to an earlier read confirms later ones',
    patches: [
      {
        file: 'core/raft/read-rounds.ts',
        find: 'const position = number - (this.#newest - this.#open.length) - 1;',
        replace: 'const position = this.#open.length - 1;',
      },
    ],
  },
  {
    name: 'long-lease',
    bug: 'a lease lasts longer than the voters keep their promise',
    patches: [
      {
        file: 'core/raft/reads.ts',
        find: 'raft.config.electionTick - 2;',
        replace: 'raft.config.electionTick * 3;',
      },
    ],
  },
  {
    name: 'lease-survives-pause',
    bug: 'a lease counts only ticks, also when the process stood still',
    patches: [
      {
        file: 'runtime/node-loop.ts',
        find: 'if (due.paused) this.core.voidLease();',
        replace: '',
      },
    ],
  },
  {
    name: 'heartbeat-commit',
    bug: 'a heartbeat carries a commit index beyond what the follower matched',
    patches: [
      {
        file: 'core/raft/replication.ts',
        find: 'message.commit = minIndex(progress.match, raft.log.committed);',
        replace: 'message.commit = minIndex(raft.log.committed, raft.log.committed);',
      },
    ],
  },
  {
    name: 'old-snapshot',
    bug: 'a snapshot that arrives late takes the state back',
    patches: [
      {
        file: 'core/raft/snapshots.ts',
        find: '  if (index <= raft.log.committed) return false;\n',
        replace: '',
      },
    ],
  },
  {
    name: 'stuck-window',
    bug: 'a full window of lost appends is never probed again',
    patches: [
      {
        file: 'core/raft/leader.ts',
        find: '  progress.recentActive = true;\n  progress.flowPaused = false;\n',
        replace: '  progress.recentActive = true;\n',
      },
    ],
  },
  {
    name: 'stuck-snapshot',
    bug: 'a snapshot that was lost is never sent again',
    patches: [
      {
        file: 'runtime/leader-duties.ts',
        find: "      core.reportSnapshot(peer, 'failed');\n",
        replace: '      void peer;\n',
      },
    ],
  },
  {
    name: 'applied-twice',
    bug: 'after a restart the last entry of the snapshot is applied again',
    patches: [
      {
        file: 'runtime/recovery.ts',
        find: '    applied: { index: meta.index, term: meta.term },\n  };\n}\n\nfunction checkCommit',
        replace:
          '    applied: { index: (meta.index - 1) as LogIndex, term: meta.term },\n  };\n}\n\nfunction checkCommit',
      },
    ],
  },
  {
    name: 'half-is-a-majority',
    bug: 'half of an even number of voters counts as a majority',
    patches: [
      {
        file: 'core/quorum/majority.ts',
        find: 'return Math.floor(size / 2) + 1;',
        replace: 'return Math.ceil(size / 2);',
      },
    ],
  },
];
