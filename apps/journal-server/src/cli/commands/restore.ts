/** `pact-journal restore`: a new data directory from a backup, as of any sequence or time in it. */
import { timestampToMs } from '@pact-journal/journal-state';
import { Option, type Command } from 'commander';
import { Repository } from '../../backup/format/repository.ts';
import { requirePlace } from '../../backup/place.ts';
import { planRestore, type Reach, type RestorePlan } from '../../backup/plan.ts';
import type { Target } from '../../backup/replay.ts';
import { newClusterId, rehearseRestore, restoreBackup, type Restored } from '../../backup/restore.ts';
import { CountedStore } from '../../backup/store/counted-store.ts';
import { STORE_URL_HELP } from '../../backup/store/open-store.ts';
import {
  addSettingFlags,
  configSources,
  loadConfig,
  type EffectiveSetting,
  type ServerConfig,
} from '../../config/index.ts';
import { founders } from '../../server/members.ts';
import { verifyBackup } from '../../backup/verify.ts';
import { startByteProgress, type ByteProgress } from '../byte-progress.ts';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { parseCount } from '../parse.ts';
import { withRepository } from '../repository.ts';
import { asUsageError } from '../server-errors.ts';
import { formatBytes, formatCount, formatMoment, printFields } from '../tables.ts';
import { readVersion } from '../version.ts';
import { reachJson } from './backup.ts';

interface RestoreFlags {
  readonly from: string;
  readonly toSequence?: number;
  readonly toTime?: string;
  readonly sameClusterId?: boolean;
  readonly fromCluster?: string;
  readonly onlyNeeded?: boolean;
  readonly dryRun?: boolean;
}

/** What of a server's settings says where a restored node is and who belongs to its group. */
const SECTIONS = ['node', 'cluster', 'listen', 'advertise'] as const;

export function register(program: Command, context: CliContext): void {
  const restore = program
    .command('restore')
    .description(
      'Make a data directory from a backup: fetched and replayed beside it, verified, and given its name only when it is ' +
        'whole. The settings are those that the node will be served with; for a group of several nodes, restore on each ' +
        'with the same --member flags (or file), the same --to-... and the same --cluster-id.',
    )
    .requiredOption('--from <url>', `the backup: ${STORE_URL_HELP}`)
    .addOption(
      new Option('--to-sequence <n>', 'restore to right after the entry of this sequence')
        .argParser(parseCount('--to-sequence', 0))
        .conflicts('toTime'),
    )
    .addOption(
      new Option('--to-time <time>', 'restore to this time, for example 2026-11-24T08:00:00Z').argParser(
        parseTime,
      ),
    )
    .addOption(
      new Option(
        '--as-new-cluster',
        'give it a cluster id of its own, so that old and restored nodes never talk to each other (the default)',
      ).conflicts('sameClusterId'),
    )
    .option('--same-cluster-id', "keep the backup's cluster id; only where no old node can ever come back")
    .option('--from-cluster <id>', 'refuse a backup of another cluster than this')
    .option(
      '--only-needed',
      'restore although other objects of the backup than those that are needed may be damaged: they are not looked at',
    )
    .option(
      '--dry-run',
      'check all that a restore checks, say what it would restore and how far the backup reaches, and leave nothing behind',
    );
  addSettingFlags(restore, SECTIONS).action((flags: RestoreFlags & Readonly<Record<string, unknown>>) =>
    withRepository(context, flags.from, (repository) => run(context, repository, flags)),
  );
}

async function run(
  context: CliContext,
  given: Repository,
  flags: RestoreFlags & Readonly<Record<string, unknown>>,
): Promise<void> {
  const { config, settings } = await loadConfig(configSources(flags, context.env)).catch(
    asUsageError(context),
  );
  const { dataDir, id: nodeId } = config.node;
  const founding = founders(config, readVersion());
  if (founding === undefined)
    throw new CliError('usage', 'a restored node starts a cluster; it cannot join one (cluster.join)');
  await requirePlace(dataDir);
  const counted = new CountedStore(given.store);
  const repository = new Repository(counted);
  const plan = await planRestore(repository, targetOf(flags));
  if (flags.fromCluster !== undefined && flags.fromCluster !== plan.clusterId)
    throw new CliError(
      'refused',
      `${repository.url} is the backup of cluster ${plan.clusterId}, not ${flags.fromCluster}`,
    );
  const clusterId = clusterIdOf(plan, flags, config, settings);
  if (flags.onlyNeeded !== true) await requireWhole(context, repository);
  const where = { clusterId, dataDir, nodeId };
  const dry = flags.dryRun === true;
  const progress = startByteProgress(context, plan.readBytes, dry ? 'tried' : 'restored');
  const restored = await (dry ? rehearseRestore : restoreBackup)(repository, {
    plan,
    ...where,
    members: founding.members,
    learners: founding.learners,
    onProgress: ({ doneBytes, entries }) => progress.update(doneBytes, entries),
  }).finally(() => progress.stop());
  for (const warning of warningsOf(plan, restored)) context.out.warn(warning);
  if (dry) printRehearsed(context, plan, restored, { ...where, readBytes: counted.readBytes });
  else printRestored(context, plan, restored, where);
}

/** A backup that is damaged anywhere is not to be trusted without somebody having looked at it. */
async function requireWhole(context: CliContext, repository: Repository): Promise<void> {
  let progress: ByteProgress | undefined;
  const { findings } = await verifyBackup(repository, {
    replay: false,
    onProgress: (doneBytes, totalBytes) => {
      progress ??= startByteProgress(context, totalBytes, 'checked');
      progress.update(doneBytes);
    },
  }).finally(() => progress?.stop());
  const [first] = findings;
  if (first === undefined) return;
  const others = findings.length === 1 ? '' : ` (and ${String(findings.length - 1)} more)`;
  const message = first.message.startsWith(first.key) ? first.message : `${first.key}: ${first.message}`;
  throw new CliError(
    'damaged',
    `the backup is damaged, nothing was restored: ${message}${others}; "pact-journal backup verify" lists all, --only-needed restores if nothing that is needed is damaged`,
  );
}

function targetOf({ toSequence, toTime }: RestoreFlags): Target {
  if (toSequence !== undefined) return { kind: 'sequence', sequence: toSequence };
  return toTime === undefined ? { kind: 'end' } : { kind: 'time', time: toTime };
}

/** Another one than the backup's, unless that is asked for in as many words. */
function clusterIdOf(
  plan: RestorePlan,
  { sameClusterId }: RestoreFlags,
  config: ServerConfig,
  settings: readonly EffectiveSetting[],
): string {
  const origin = settings.find(({ row }) => row.key === 'cluster.id')?.origin ?? 'default';
  const given = origin === 'default' ? undefined : config.cluster.id;
  if (sameClusterId === true) {
    if (given === undefined || given === plan.clusterId) return plan.clusterId;
    throw new CliError(
      'refused',
      `the backup is of cluster ${plan.clusterId}, and ${origin} says ${given}: leave out either that or --same-cluster-id`,
    );
  }
  return given === undefined || given === plan.clusterId ? newClusterId(plan.clusterId) : given;
}

/** With its zone, so that it means the same on every machine. */
function parseTime(text: string): string {
  const ms = timestampToMs(text);
  if (ms !== undefined) return new Date(ms).toISOString();
  throw new CliError(
    'usage',
    `--to-time: "${text}" is not a time with its zone, such as 2026-11-24T08:00:00Z or 2026-11-24T09:00:00+01:00`,
  );
}

/** What nobody may take for more than it is: the cluster may have gone on until then, and the backup does not know it. */
function warningsOf({ target, reach }: RestorePlan, { clock, entries }: Restored): readonly string[] {
  if (target.kind !== 'time' || target.time <= reach.time) return [];
  const last = entries === 0 ? 'without an entry' : `sequence ${String(entries - 1)} of ${clock}`;
  return [
    `the backup does not reach ${target.time}, only log index ${String(reach.index)}: its end is ${last}, and what was committed after that is not in it`,
  ];
}

function describeTarget({ target }: RestorePlan): string {
  switch (target.kind) {
    case 'end':
      return 'the end of the backup';
    case 'sequence':
      return `sequence ${String(target.sequence)}`;
    case 'time':
      return target.time;
  }
}

function printRehearsed(
  context: CliContext,
  plan: RestorePlan,
  restored: Restored,
  { clusterId, dataDir, nodeId, readBytes }: Place & { readonly readBytes: number },
): void {
  const { snapshot, batches, sizeBytes } = plan;
  const isNew = clusterId !== plan.clusterId;
  if (context.globals.json) {
    return context.out.json({
      restored: false,
      // A new id is made up anew with each restore.
      cluster_id: isNew ? null : clusterId,
      source_cluster_id: plan.clusterId,
      data_dir: dataDir,
      node_id: nodeId,
      snapshot: { index: snapshot.index, entries: snapshot.entries, clock: snapshot.clock },
      log_objects: batches.length,
      size_bytes: sizeBytes,
      read_bytes: readBytes,
      would_restore: outcomeJson(restored),
      reach: reachJson(plan.reach),
      warnings: warningsOf(plan, restored),
    });
  }
  const { entries, clock, headHash, digest } = restored;
  printFields(context.out, [
    ['would restore', `${describeTarget(plan)} of cluster ${plan.clusterId} into ${dataDir}`],
    ['which is', `${formatCount(entries)} entries, state of ${formatMoment(clock)}`],
    ['head hash', headHash],
    ['digest', digest],
    ['as cluster', isNew ? 'a new one' : clusterId],
    ['from the snapshot', `of ${formatMoment(snapshot.clock)}, ${formatCount(snapshot.entries)} entries`],
    ['and log', `${formatCount(batches.length)} objects`],
    ['read', `${formatBytes(readBytes)}, nothing speaks against the restore`],
    ['the backup reaches', describeReach(plan.reach)],
  ]);
}

function describeReach({ time, entries, index }: Reach): string {
  const last =
    entries === undefined ? '' : entries === 0 ? ', no entry' : `, sequence ${String(entries - 1)}`;
  return `${formatMoment(time)}${last}, log index ${String(index)}`;
}

interface Place {
  readonly clusterId: string;
  readonly dataDir: string;
  readonly nodeId: number;
}

function outcomeJson({ index, term, entries, clock, headHash, digest }: Restored): object {
  return { index, term, entries, clock, head_hash: headHash, digest };
}

function printRestored(
  context: CliContext,
  plan: RestorePlan,
  restored: Restored,
  { clusterId, dataDir, nodeId }: Place,
): void {
  const { entries, clock, headHash, digest } = restored;
  if (context.globals.json) {
    return context.out.json({
      restored: true,
      cluster_id: clusterId,
      source_cluster_id: plan.clusterId,
      data_dir: dataDir,
      node_id: nodeId,
      ...outcomeJson(restored),
      reach: reachJson(plan.reach),
      warnings: warningsOf(plan, restored),
    });
  }
  printFields(context.out, [
    ['restored', `${describeTarget(plan)}: ${formatCount(entries)} entries, state of ${formatMoment(clock)}`],
    ['head hash', headHash],
    ['digest', digest],
    ['data directory', dataDir],
    ['cluster', clusterId],
  ]);
  context.out.note(
    `serve it with --cluster-id ${clusterId} --node-id ${String(nodeId)} (or cluster.id and node.id in its file); give other nodes of its group the same cluster id when you restore them`,
  );
}
