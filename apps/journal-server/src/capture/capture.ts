/** Reads a host's real state into a state delta. */
import { DELTA_KINDS, type DeltaItem, type DeltaKind, type StateDelta } from '@pact-journal/journal-state';
import { captureFiles } from './files.ts';
import { captureGpus } from './gpus.ts';
import { captureInterfaces } from './interfaces.ts';
import { captureMounts } from './mounts.ts';
import { capturePackages } from './packages.ts';
import { runHostCommand } from './run.ts';
import { captureServices } from './services.ts';
import { captureSysctls } from './sysctls.ts';
import { LeftOut, type CaptureSource, type CommandRunner } from './types.ts';

/** Files below /etc up to this size are captured unless the caller says otherwise, in bytes. */
export const DEFAULT_ETC_MAX_BYTES = 1024 * 1024;

export interface CaptureOptions {
  /** Root to read below. Default `/`. */
  readonly root?: string;
  /** Kinds to capture. Default all seven; the others come out empty. */
  readonly include?: readonly DeltaKind[];
  /** Files larger than this are left out, in bytes. */
  readonly etcMaxBytes?: number;
  readonly run?: CommandRunner;
  /** Told before each kind is read. */
  readonly onKind?: (kind: DeltaKind) => void;
}

export interface Capture {
  /** All seven arrays, every action Add, each sorted by key: the same host gives the same bytes. */
  readonly delta: StateDelta;
  /** What was seen and not taken. */
  readonly leftOut: ReturnType<LeftOut['list']>;
}

const READERS: {
  readonly [Kind in DeltaKind]: (
    source: CaptureSource,
  ) => readonly DeltaItem[] | Promise<readonly DeltaItem[]>;
} = {
  mounts: captureMounts,
  files: captureFiles,
  network: captureInterfaces,
  services: captureServices,
  kernel: captureSysctls,
  packages: capturePackages,
  gpu: captureGpus,
};

/**
 * Captures what can be read without changing anything. What is unreadable, volatile or secret is counted in `leftOut`
 * and never part of the delta.
 */
export async function captureHost(options: CaptureOptions = {}): Promise<Capture> {
  const source: CaptureSource = {
    root: options.root ?? '/',
    etcMaxBytes: options.etcMaxBytes ?? DEFAULT_ETC_MAX_BYTES,
    run: options.run ?? runHostCommand,
    leftOut: new LeftOut(),
  };
  const include = new Set(options.include ?? DELTA_KINDS);
  const delta: Record<DeltaKind, readonly DeltaItem[]> = {
    mounts: [],
    files: [],
    network: [],
    services: [],
    kernel: [],
    packages: [],
    gpu: [],
  };
  for (const kind of DELTA_KINDS) {
    if (!include.has(kind)) continue;
    options.onKind?.(kind);
    delta[kind] = await READERS[kind](source);
  }
  return { delta, leftOut: source.leftOut.list() };
}
