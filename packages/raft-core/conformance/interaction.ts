import {
  describeError,
  describeProgressMap,
  isVoter,
  NO_BYTES,
  NO_LIMIT,
  ROLE_NAMES,
  sortedIds,
  toLogIndex,
  toNodeId,
} from '../src/core/index.ts';
import type {
  ConfChangeTransition,
  MessageType,
  NodeId,
  ReadOnlyOption,
  Snapshot,
} from '../src/core/index.ts';
import { parseConfChanges } from './conf-changes.ts';
import { parseBoolean, parseCommand, parseInteger, positional, valueOf, valuesOf } from './data-file.ts';
import type { Case, Command } from './data-file.ts';
import { baseSnapshot, Group } from './group.ts';
import type { GroupNode, NodeOptions } from './group.ts';

/** Runs interaction scripts: each case is a command on a whole group of nodes. */
export class Interaction {
  readonly #group = new Group();

  run(test: Case): string {
    const { output } = this.#group;
    output.take();
    let error: string | undefined;
    try {
      if (test.name === 'propose-conf-change') {
        this.#proposeConfChange(test, test.input);
      } else {
        this.#execute(test);
        // Further commands may follow on the input lines.
        for (const line of test.input.split('\n').filter((text) => text.trim() !== '')) {
          this.#executeFurther(line);
        }
      }
    } catch (caught) {
      error = describeError(caught);
    }
    // Even a silenced script hears of errors.
    if (error !== undefined && output.quiet) return error;
    if (error !== undefined) output.write(error);
    const text = output.take();
    return text === '' ? 'ok' : text;
  }

  #executeFurther(line: string): void {
    const { output } = this.#group;
    try {
      this.#execute(parseCommand(line));
    } catch (error) {
      if (output.quiet) throw error;
      output.write(describeError(error));
    }
  }

  #execute(command: Command): void {
    const group = this.#group;
    switch (command.name) {
      case '_breakpoint':
        return;
      case 'add-nodes':
        return this.#addNodes(command);
      case 'campaign':
        return this.#first(command).raw.campaign();
      case 'compact': {
        const node = this.#first(command);
        node.storage.compact(toLogIndex(parseInteger(positional(command)[1] ?? '')));
        return group.printLog(node);
      }
      case 'deliver-msgs':
        return this.#deliver(command);
      case 'forget-leader':
        return this.#first(command).raw.forgetLeader();
      case 'log-level':
        return group.output.setLevel(positional(command)[0] ?? '');
      case 'process-append-thread':
        return this.#each(command, 'processing append thread', (node) => group.processAppendThread(node));
      case 'process-apply-thread':
        return this.#each(command, 'processing apply thread', (node) => group.processApplyThread(node));
      case 'process-ready':
        return this.#each(command, 'handling Ready', (node) => group.processReady(node));
      case 'propose': {
        const data = new TextEncoder().encode(command.args[1]?.key ?? '');
        this.#first(command).raw.propose(data);
        return;
      }
      case 'raft-log':
        return group.printLog(this.#first(command));
      case 'raft-state':
        return this.#raftState();
      case 'report-unreachable':
        return this.#first(command).raw.reportUnreachable(this.#second(command).id);
      case 'send-snapshot':
        return group.sendSnapshot(this.#first(command), this.#second(command));
      case 'set-randomized-election-timeout':
        return this.#first(command).raw.setRandomizedElectionTimeout(
          parseInteger(valueOf(command, 'timeout') ?? ''),
        );
      case 'stabilize':
        return this.#stabilize(command);
      case 'status':
        return group.output.write(describeProgressMap(this.#first(command).raw.status().progress));
      case 'tick-election':
        return tick(this.#first(command), this.#first(command).electionTick);
      case 'tick-heartbeat':
        return tick(this.#first(command), this.#first(command).heartbeatTick);
      case 'transfer-leadership': {
        const from = group.node(parseInteger(valueOf(command, 'from') ?? ''));
        return from.raw.transferLeader(group.node(parseInteger(valueOf(command, 'to') ?? '')).id);
      }
      default:
        throw new Error('unknown command');
    }
  }

  #addNodes(command: Command): void {
    const count = parseInteger(positional(command)[0] ?? '');
    const bool = (key: string): boolean => valuesOf(command, key).map(parseBoolean).at(-1) ?? false;
    const integer = (key: string, fallback: number): number =>
      valuesOf(command, key).map(parseInteger).at(-1) ?? fallback;
    const ids = (key: string): readonly NodeId[] =>
      sortedIds(valuesOf(command, key).map((id) => toNodeId(parseInteger(id))));

    const snapshot = this.#snapshot(command, ids('voters'), ids('learners'));
    const options: NodeOptions = {
      maxSizePerMsgBytes: NO_LIMIT,
      maxInflightMessages: integer('inflight', 2 ** 31 - 1),
      maxCommittedSizePerReadyBytes: integer('max-committed-size-per-ready', NO_LIMIT),
      asyncStorageWrites: bool('async-storage-writes'),
      preVote: bool('prevote'),
      checkQuorum: bool('checkquorum'),
      disableConfChangeValidation: bool('disable-conf-change-validation'),
      stepDownOnRemoval: bool('step-down-on-removal'),
      readOnlyOption: readOnlyOption(valueOf(command, 'read-only')),
      applied: toLogIndex(integer('index', 0)),
    };
    this.#group.addNodes(count, options, snapshot);
  }

  #snapshot(command: Command, voters: readonly NodeId[], learners: readonly NodeId[]): Snapshot | undefined {
    const index = valueOf(command, 'index');
    const content = valueOf(command, 'content');
    if (index === undefined && content === undefined && voters.length === 0 && learners.length === 0)
      return undefined;
    const at = parseInteger(index ?? '0');
    if (at <= 1) throw new Error('index must be specified as > 1 due to bootstrap');
    const confState = { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false };
    return baseSnapshot(toLogIndex(at), confState, content ?? '');
  }

  #proposeConfChange(command: Command, input: string): void {
    let v1 = false;
    let transition: ConfChangeTransition = 'auto';
    for (const arg of command.args.slice(1)) {
      for (const value of arg.values) {
        if (arg.key === 'v1') v1 = parseBoolean(value);
        else if (arg.key === 'transition') transition = parseTransition(value);
        else throw new Error(`unknown command ${arg.key}`);
      }
    }
    const changes = parseConfChanges(input);
    if (v1 && (changes.length > 1 || transition !== 'auto')) {
      throw new Error('v1 conf change can only have one operation and no transition');
    }
    this.#first(command).raw.proposeConfChange({ transition, changes, context: NO_BYTES }, { v1 });
  }

  #deliver(command: Command): void {
    const type = messageType(valueOf(command, 'type'));
    const deliveries: { readonly id: NodeId; readonly drop: boolean }[] = [];
    for (const { key, values } of command.args) {
      const drop = values.length > 0;
      if (drop && key !== 'drop') continue;
      for (const id of (drop ? values : [key]).map((text) => toNodeId(parseInteger(text)))) {
        if (drop && deliveries.some((delivery) => delivery.id === id)) {
          throw new Error(`can't both deliver and drop msgs to ${id}`);
        }
        deliveries.push({ id, drop });
      }
    }
    let handled = 0;
    for (const { id, drop } of deliveries) handled += this.#group.deliver(id, drop, type);
    if (handled === 0) this.#group.output.write('no messages\n');
  }

  #stabilize(command: Command): void {
    const { output } = this.#group;
    const before = output.level;
    const level = valueOf(command, 'log-level');
    try {
      if (level !== undefined) output.setLevel(level);
      const chosen = this.#chosen(command);
      this.#group.stabilize(chosen.length === 0 ? this.#group.nodes : chosen);
    } finally {
      output.setLevel(before);
    }
  }

  #raftState(): void {
    for (const { raw } of this.#group.nodes) {
      const { id, role, term, leader, config } = raw.status();
      const voter = isVoter(config, id) ? '(Voter)' : '(Non-Voter)';
      this.#group.output.write(`${id}: ${ROLE_NAMES[role]} ${voter} Term:${term} Lead:${leader}\n`);
    }
  }

  #each(command: Command, title: string, body: (node: GroupNode) => void): void {
    const { output } = this.#group;
    const chosen = this.#chosen(command);
    for (const node of chosen) {
      if (chosen.length === 1) {
        body(node);
      } else {
        output.write(`> ${node.id} ${title}\n`);
        output.indent(() => body(node));
      }
    }
  }

  #chosen(command: Command): readonly GroupNode[] {
    return positional(command).map((id) => this.#group.node(parseInteger(id)));
  }

  #first(command: Command): GroupNode {
    return this.#group.node(parseInteger(positional(command)[0] ?? ''));
  }

  #second(command: Command): GroupNode {
    return this.#group.node(parseInteger(positional(command)[1] ?? ''));
  }
}

function tick(node: GroupNode, ticks: number): void {
  for (let i = 0; i < ticks; i += 1) node.raw.tick();
}

function parseTransition(value: string): ConfChangeTransition {
  switch (value) {
    case 'auto':
      return 'auto';
    case 'implicit':
      return 'jointImplicit';
    case 'explicit':
      return 'jointExplicit';
    default:
      throw new Error(`unknown transition ${value}`);
  }
}

function readOnlyOption(value: string | undefined): ReadOnlyOption {
  if (value === undefined || value === 'safe') return 'safe';
  if (value === 'lease-based') return 'leaseBased';
  throw new Error(`invalid read-only option "${value}"`);
}

const MESSAGE_TYPES: readonly MessageType[] = [
  'MsgHup',
  'MsgBeat',
  'MsgProp',
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgCheckQuorum',
  'MsgTransferLeader',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
  'MsgPreVote',
  'MsgPreVoteResp',
  'MsgStorageAppend',
  'MsgStorageAppendResp',
  'MsgStorageApply',
  'MsgStorageApplyResp',
  'MsgForgetLeader',
];

function messageType(name: string | undefined): MessageType | undefined {
  if (name === undefined) return undefined;
  const type = MESSAGE_TYPES.find((candidate) => candidate === name);
  if (type === undefined) throw new Error(`unknown message type ${name}`);
  return type;
}
