import type { NodeDelta } from '@pact-journal/journal-state';
import type { stream } from '@pact-journal/journal-proto';
import type { Overlay } from '@pact-journal/overlay-builder';
import { BootStreamError } from '../errors.ts';
import type { BootLimits } from '../limits.ts';
import { Slices } from '../slices.ts';
import type { BootSource } from '../source.ts';
import { closingFrames, overlayFrames } from '../wire/frames.ts';
import type { Frame } from '../wire/frames.ts';
import { OK } from './call.ts';
import type { ServerCall } from './call.ts';
import { statusOf } from './status.ts';
import { checkId } from './validate.ts';

/** What a boot sends, all of the same moment of the replica's state. */
interface BootContent {
  readonly nodeDelta: NodeDelta;
  /** Undefined: the client's overlay is current. */
  readonly overlay: Overlay | Promise<Overlay> | undefined;
  readonly baseVersion: number;
}

/** Serves StreamBootConfig calls that were admitted. */
export class Boots {
  readonly #source: BootSource;
  readonly #limits: BootLimits;
  readonly #slices = new Slices();

  constructor(source: BootSource, limits: BootLimits) {
    this.#source = source;
    this.#limits = limits;
  }

  /** Answers the call, sooner or later. `minSequence`: the fence, undefined where the client asked for none. */
  serve(call: ServerCall, request: stream.BootConfigRequest, minSequence: number | undefined): void {
    this.#slices.run(call.share, () => {
      if (!call.closed) this.#serve(call, request, minSequence);
    });
  }

  #serve(call: ServerCall, request: stream.BootConfigRequest, minSequence: number | undefined): void {
    call.sendHeaders();
    try {
      const refusal = this.#source.refusal?.();
      if (refusal !== undefined) throw new BootStreamError('unavailable', `${refusal}: try another replica`);
      checkId(request.nodeId, 'node_id');
      checkId(request.vclusterId, 'vcluster_id');
      if (request.nodeId === '')
        throw new BootStreamError('invalidRequest', 'node_id is empty: name the node that boots');
      const behind = minSequence !== undefined && this.#source.view().entryCount <= minSequence;
      if (behind) void this.#serveFenced(call, request, minSequence);
      else this.#send(call, this.#content(request));
    } catch (error) {
      call.end(statusOf(error));
    }
  }

  async #serveFenced(
    call: ServerCall,
    request: stream.BootConfigRequest,
    minSequence: number,
  ): Promise<void> {
    const waiting = new AbortController();
    const timer = setTimeout(() => waiting.abort(), this.#limits.fenceWaitMsMax);
    call.onClose = () => waiting.abort();
    try {
      await this.#source.waitForSequence(minSequence, waiting.signal);
      call.onClose = undefined;
      if (!call.closed) this.#send(call, this.#content(request));
    } catch (error) {
      call.end(statusOf(this.#behind(minSequence, error)));
    } finally {
      clearTimeout(timer);
    }
  }

  #behind(minSequence: number, error: unknown): unknown {
    const { entryCount } = this.#source.view();
    if (entryCount > minSequence) return error;
    return new BootStreamError(
      'unavailable',
      `this replica has applied ${entryCount} entries, not yet sequence ${minSequence}: try another replica`,
      { cause: error },
    );
  }

  /** Reads everything in one turn of the event loop, so that overlay and delta belong together. */
  #content(request: stream.BootConfigRequest): BootContent {
    const view = this.#source.view();
    const vclusterId = request.vclusterId === '' ? view.assignment(request.nodeId) : request.vclusterId;
    if (vclusterId === undefined) {
      throw new BootStreamError(
        'notFound',
        `node ${JSON.stringify(request.nodeId)} is assigned to no virtual cluster: name one, or assign the node`,
      );
    }
    const nodeDelta = view.nodeDelta(request.nodeId);
    const version = view.vclusterVersion(vclusterId);
    // An overlay of version 0 may also be that of a state without a version, so it is always sent.
    if (version !== undefined && version > 0 && request.lastKnownVersion === version) {
      return { nodeDelta, overlay: undefined, baseVersion: version };
    }
    return { nodeDelta, overlay: this.#source.currentOverlay(vclusterId), baseVersion: version ?? 0 };
  }

  #send(call: ServerCall, content: BootContent): void {
    const { overlay } = content;
    if (overlay === undefined) return this.#finish(call, content);
    if (!(overlay instanceof Promise)) return this.#sendOverlay(call, content, overlayFrames(overlay), 0);
    overlay.then(
      (built) => this.#sendOverlay(call, content, overlayFrames(built), 0),
      (error: unknown) => call.end(statusOf(error)),
    );
  }

  /** All but the last message wait for room; the last one goes with the end of the stream. */
  #sendOverlay(call: ServerCall, content: BootContent, frames: readonly Frame[], first: number): void {
    for (let index = first; index < frames.length - 1; index += 1) {
      if (call.closed) return;
      if (call.write(frames[index] ?? [])) continue;
      call.onDrain = () => {
        call.onDrain = undefined;
        this.#sendOverlay(call, content, frames, index + 1);
      };
      return;
    }
    this.#finish(call, content, frames.at(-1));
  }

  #finish(call: ServerCall, { nodeDelta, baseVersion }: BootContent, last: Frame = []): void {
    call.end(OK, [...last, closingFrames(nodeDelta, baseVersion, Date.now())]);
  }
}
