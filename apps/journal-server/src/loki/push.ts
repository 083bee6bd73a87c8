/** One request to Loki's push API. */
import { readFile } from 'node:fs/promises';

/** Where Loki is and how to be let in. Secrets are read from files with every request, so that they can be changed. */
export interface LokiTarget {
  /** Without the path of the API. */
  readonly url: string;
  /** Sent as `X-Scope-OrgID`; empty for none. */
  readonly tenant: string;
  /** With `passwordFile`, for basic authentication; empty for none. */
  readonly username: string;
  readonly passwordFile: string;
  /** Holds a bearer token; empty for none. */
  readonly tokenFile: string;
  readonly timeoutMs: number;
}

/** What became of a push. */
export type PushOutcome =
  | { readonly kind: 'accepted'; readonly code: string }
  /** To be tried again, not before `waitMs` where Loki said so. */
  | { readonly kind: 'later'; readonly code: string; readonly reason: string; readonly waitMs: number }
  /** Loki will not take something in it, however often it is sent. */
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string };

const REASON_LENGTH_MAX = 300;
/** A server that asks for a longer pause than this is asked again all the same. */
const WAIT_MS_MAX = 300_000;
/** Bad requests, entries that are too old or out of order, and bodies that are too large. */
const REFUSALS = [400, 413, 422];

/** Never rejects. The signal gives the request up; whether Loki has it then is not known. */
export async function push(target: LokiTarget, body: string, signal: AbortSignal): Promise<PushOutcome> {
  try {
    const response = await fetch(`${target.url.replace(/\/+$/, '')}/loki/api/v1/push`, {
      method: 'POST',
      headers: await headersFor(target),
      body,
      // A redirect could carry the credentials somewhere else.
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(target.timeoutMs)]),
    });
    return await outcomeOf(response);
  } catch (error) {
    return { kind: 'later', code: 'unreachable', reason: reasonOf(error), waitMs: 0 };
  }
}

async function headersFor({
  tenant,
  username,
  passwordFile,
  tokenFile,
}: LokiTarget): Promise<Record<string, string>> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (tenant !== '') headers['x-scope-orgid'] = tenant;
  if (tokenFile !== '') headers['authorization'] = `Bearer ${await secretIn(tokenFile)}`;
  else if (username !== '') {
    const pair = Buffer.from(`${username}:${await secretIn(passwordFile)}`).toString('base64');
    headers['authorization'] = `Basic ${pair}`;
  }
  return headers;
}

async function secretIn(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).trimEnd();
}

async function outcomeOf(response: Response): Promise<PushOutcome> {
  const code = String(response.status);
  const said = await beginningOf(response);
  if (response.ok) return { kind: 'accepted', code };
  const reason = `HTTP ${code}${said === '' ? '' : `: ${said}`}`;
  // A time ahead of Loki's clock is acceptable a while later.
  if (REFUSALS.includes(response.status) && !/too new|too far in (the )?future/i.test(said))
    return { kind: 'refused', code, reason };
  return { kind: 'later', code, reason, waitMs: retryAfterMs(response.headers.get('retry-after')) };
}

/** The first line of what Loki says, for the log. The rest is not read. */
async function beginningOf({ body }: Response): Promise<string> {
  if (body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length >= REASON_LENGTH_MAX) break;
  }
  return text.slice(0, REASON_LENGTH_MAX).replaceAll(/\s+/g, ' ').trim();
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(value: string | null): number {
  if (value === null) return 0;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? 0 : Math.min(WAIT_MS_MAX, Math.max(0, ms));
}

/** fetch hides what happened in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  const { cause } = error;
  const because = cause instanceof Error ? `: ${cause.message}` : '';
  return `${error.message}${because}`.slice(0, REASON_LENGTH_MAX);
}
