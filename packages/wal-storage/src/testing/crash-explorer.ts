/** Cutting the power at every system call of a workload, and looking at everything that could be left. */
import { createHash } from 'node:crypto';
import { crashImages } from './crash-images.ts';
import type { CrashImageOptions } from './crash-images.ts';
import { FaultyFileSystem } from './faulty-file-system.ts';
import type { MemoryDisk } from './memory-disk.ts';

/** Calls that change nothing: a power cut before one is the same as one before the next call that does. */
const PASSIVE_CALLS: ReadonlySet<string> = new Set(['list', 'size', 'read', 'readSync', 'close']);

export interface CrashExplorationOptions<Promised> extends Partial<CrashImageOptions> {
  /** What the workload works on; an empty disk by default. */
  readonly fileSystem?: FaultyFileSystem;
  /** Works on a disk; is run once. */
  readonly workload: (fileSystem: FaultyFileSystem) => Promise<void>;
  /** What the workload has been promised so far; taken at each call, so it must not be changed afterwards. */
  readonly promised: () => Promised;
  /** Opens what a power cut left and rejects if a promise is broken. May write. */
  readonly check: (fileSystem: FaultyFileSystem, promised: Promised) => Promise<void>;
  /**
   * Called with what the next process finds where this one was killed and the power stayed on: written and unsynced
   * data is still to be seen, and may be lost by a power cut later.
   */
  readonly checkKilled?: (fileSystem: FaultyFileSystem, promised: Promised) => Promise<void>;
  /** Opens what a power cut left and closes it again: if given, the power is cut at every call of that as well. */
  readonly recover?: (fileSystem: FaultyFileSystem) => Promise<void>;
}

export interface CrashExploration {
  /** System calls at which the power was cut. */
  readonly cuts: number;
  /** Different disks that were checked. */
  readonly images: number;
}

/** What one power cut left. */
interface Image<Promised> {
  readonly disk: MemoryDisk;
  readonly promised: Promised;
  readonly where: string;
}

class Explorer<Promised> {
  readonly #options: CrashExplorationOptions<Promised>;
  readonly #imageOptions: CrashImageOptions;
  readonly seen = new Set<string>();
  cuts = 0;

  constructor(options: CrashExplorationOptions<Promised>) {
    this.#options = options;
    this.#imageOptions = {
      cutsPerWrite: options.cutsPerWrite ?? 6,
      combinationsMax: options.combinationsMax ?? 32,
    };
  }

  /** Runs something on a disk and returns every new disk that a power cut at one of its calls could leave. */
  async cutEverywhere(
    fileSystem: FaultyFileSystem,
    run: () => Promise<void>,
    promised: () => Promised,
    doing: string,
    killed: Image<Promised>[] = [],
  ): Promise<readonly Image<Promised>[]> {
    const images: Image<Promised>[] = [];
    let number = 0;
    const cut = (call: string, path: string): void => {
      if (PASSIVE_CALLS.has(call)) return;
      number++;
      this.cuts++;
      const now = promised();
      const where = `call ${number} of ${doing} (${call} ${path})`;
      if (this.#options.checkKilled !== undefined)
        killed.push({ disk: fileSystem.disk.fork(), promised: now, where });
      for (const disk of crashImages(fileSystem.disk, this.#imageOptions)) {
        const key = fingerprint(disk, now);
        if (this.seen.has(key)) continue;
        this.seen.add(key);
        images.push({ disk, promised: now, where });
      }
    };
    fileSystem.observer = cut;
    await run();
    cut('end', '');
    fileSystem.observer = undefined;
    return images;
  }

  async check(image: Image<Promised>): Promise<void> {
    const { recover } = this.#options;
    if (recover !== undefined) {
      const copy = new FaultyFileSystem(image.disk.afterPowerCut([]));
      const doing = `the recovery from ${image.where}`;
      const interrupted = await this.cutEverywhere(
        copy,
        () => recover(copy),
        () => image.promised,
        doing,
      );
      for (const again of interrupted) await this.#checkPromises(again);
    }
    await this.#checkPromises(image);
  }

  async #checkPromises(image: Image<Promised>): Promise<void> {
    try {
      await this.#options.check(new FaultyFileSystem(image.disk), image.promised);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`after a power cut at ${image.where}: ${reason}`, { cause: error });
    }
  }

  async checkKilled(image: Image<Promised>): Promise<void> {
    try {
      await this.#options.checkKilled?.(new FaultyFileSystem(image.disk), image.promised);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`after being killed at ${image.where}: ${reason}`, { cause: error });
    }
  }
}

/** Fails with the first broken promise, saying at which call the power was cut. */
export async function exploreCrashes<Promised>(
  options: CrashExplorationOptions<Promised>,
): Promise<CrashExploration> {
  const explorer = new Explorer(options);
  const fileSystem = options.fileSystem ?? new FaultyFileSystem();
  const run = (): Promise<void> => options.workload(fileSystem);
  const killed: Image<Promised>[] = [];
  const images = await explorer.cutEverywhere(fileSystem, run, options.promised, 'the workload', killed);
  for (const image of images) await explorer.check(image);
  for (const image of killed) await explorer.checkKilled(image);
  return { cuts: explorer.cuts, images: explorer.seen.size };
}

function fingerprint(disk: MemoryDisk, promised: unknown): string {
  const hash = createHash('sha1').update(JSON.stringify(promised) ?? '');
  for (const [path, content] of disk.contents()) hash.update(`${path}\0${content.length}\0`).update(content);
  return hash.digest('base64');
}
