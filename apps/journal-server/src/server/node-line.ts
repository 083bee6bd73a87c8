/** A node as the ready line shows it. Field names are a contract with whoever starts servers from scripts. */
export interface NodeLine {
  readonly id: number;
  readonly role: 'leader' | 'follower' | 'learner';
  /** `host:port` each. */
  readonly grpc: string;
  readonly raft: string;
  readonly metrics: string;
  readonly data_dir: string;
  readonly pid: number;
}
