import { z } from 'zod';
import { formatAddress, type Address } from './address.ts';
import { address, type ValueType } from './value-types.ts';

/** A management node as the configuration names it. */
export interface ConfiguredMember {
  /** From 1; never used again for another machine or an emptied data directory. */
  readonly id: number;
  readonly raft: Address;
  readonly grpc: Address;
  readonly metrics: Address | undefined;
  /** Learners follow and serve boots but have no vote. */
  readonly learner: boolean;
}

const example = '1=10.0.0.1:9444,10.0.0.1:9443 or 4=10.0.0.4:9444,10.0.0.4:9443,learner';
const idMessage = 'expected id to be a whole number from 1';

const memberSchema = z.strictObject(
  {
    id: z.number(idMessage).int(idMessage).min(1, idMessage).max(Number.MAX_SAFE_INTEGER, idMessage),
    raft: address().schema,
    grpc: address().schema,
    metrics: address().schema.optional(),
    learner: z.boolean('expected learner to be true or false').optional(),
  },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown ${issue.keys.join(', ')}: a member has id, raft, grpc, metrics and learner`
        : 'expected a table with id, raft and grpc',
  },
);

/** A list of members: `[[cluster.members]]` tables, or `ID=RAFT,GRPC[,METRICS][,learner]` as text. */
export function memberList(): ValueType<readonly ConfiguredMember[]> {
  return {
    schema: z
      .array(memberSchema, `expected [[cluster.members]] tables, or text like ${example}`)
      .transform((members): readonly ConfiguredMember[] =>
        members.map(({ id, raft, grpc, metrics, learner }) => ({
          id,
          raft,
          grpc,
          metrics,
          learner: learner ?? false,
        })),
      ),
    fromText: memberFromText,
    format: (members) => members.map(formatMember),
    placeholder: 'ID=RAFT,GRPC[,METRICS][,learner]',
    list: true,
  };
}

/** What TOML would have given for `1=10.0.0.1:9444,10.0.0.1:9443`; the text itself where it has another form. */
function memberFromText(text: string): unknown {
  const [id, places] = text.split('=');
  if (id === undefined || !/^\d+$/.test(id.trim()) || places === undefined) return text;
  const parts = places.split(',').map((part) => part.trim());
  const learner = parts.at(-1) === 'learner';
  const [raft, grpc, metrics, ...more] = learner ? parts.slice(0, -1) : parts;
  if (more.length > 0) return text;
  return { id: Number(id), raft, grpc, ...(metrics === undefined ? {} : { metrics }), learner };
}

/** The member as the flag and the variable write it. */
export function formatMember(member: ConfiguredMember): string {
  const places = [member.raft, member.grpc, ...(member.metrics === undefined ? [] : [member.metrics])];
  return `${String(member.id)}=${places.map(formatAddress).join(',')}${member.learner ? ',learner' : ''}`;
}
