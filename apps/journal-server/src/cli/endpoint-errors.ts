/** What it says of the endpoints when a call fails before the journal has seen it. */
import { CliError } from './errors.ts';

const PORT_HINT =
  'is that the gRPC port? the default is 9443 (where it speaks TLS, name its authority with --ca)';

/** grpc-js on a connection that did not come about, up to the end of the clause. */
const NO_CONNECTION =
  /No connection established(?:\. Last error: (?<last>.*?))?(?: \(\d{4}-[^)]*\))?(?:\. Resolution note: ?[^;)]*|$)/u;

/** In the last error of a connection that was accepted, by somebody who does not speak HTTP/2. */
const OTHER_PROTOCOL = /protocol error|ECONNRESET|EPIPE|EPROTO|socket hang up|closed|^Failed to connect$/iu;

const GRPC_UNIMPLEMENTED = 12;

/** A failed call's error in words that say what is at the endpoints; undefined where it says nothing about them. */
export function endpointError(error: unknown, endpoints: readonly string[]): CliError | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name !== 'JournalClientError' && error.name !== 'BootStreamError') return undefined;
  const where = endpoints.join(', ');
  if (isUnimplemented(error)) {
    const method = /\/[\w.]+\/\w+/u.exec(error.message)?.[0];
    const known = method === undefined ? 'it knows no such call' : `it does not know ${method}`;
    const text = `${where} answers, but not as the journal's gRPC server (${known}); ${PORT_HINT}`;
    return new CliError('refused', text, { cause: error });
  }
  const untrusted = tlsProblem(error.message);
  if (untrusted !== undefined) return new CliError('refused', `${where}: ${untrusted}`, { cause: error });
  if (error.name === 'JournalClientError') return clientError(error);
  return bootError(error, where);
}

/** What is wrong with the certificate of a server that was reached, or that it speaks no TLS, or nothing else. */
function tlsProblem(message: string): string | undefined {
  // What a server has said itself is about the client.
  if (!NO_CONNECTION.test(message)) return undefined;
  const problem = TLS_PROBLEMS.find(([pattern]) => pattern.test(message));
  return problem?.[1];
}

/** In the words of OpenSSL and Node (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
const TLS_PROBLEMS: readonly (readonly [RegExp, string])[] = [
  [/certificate has expired/iu, "the server's certificate has expired; its operator must renew it"],
  [/certificate is not yet valid/iu, "the server's certificate is not valid yet; compare the clocks"],
  [
    /unable to verify the first certificate|self[- ]signed certificate|unable to get (?:local )?issuer/iu,
    "the server's certificate is of an authority that is not trusted here; name its authority with --ca",
  ],
  [
    /does not match certificate's altnames|altnames/iu,
    "the server's certificate is for other names; use one of them with --endpoint",
  ],
  [/wrong version number/iu, 'the server speaks no TLS; leave out --tls, --ca and --cert'],
  [
    /alert protocol version|unsupported protocol/iu,
    'the server and this program speak no common version of TLS',
  ],
];

function isUnimplemented(error: Error): boolean {
  if ('grpcCode' in error && error.grpcCode === GRPC_UNIMPLEMENTED) return true;
  return 'code' in error && error.code === 'unsupported' && error.message.includes('does not implement');
}

/** The client names each endpoint with what became of it. */
function clientError(error: Error): CliError | undefined {
  const each = new RegExp(
    String.raw`(?<!\S)(\S+) cannot be connected to \((${NO_CONNECTION.source})\)`,
    'gu',
  );
  let replaced = false;
  const text = error.message.replaceAll(each, (all: string, endpoint: string, details: string) => {
    if (!speaksAnother(details)) return all;
    replaced = true;
    return `${endpoint} answers, but not as a gRPC server, ${PORT_HINT}`;
  });
  if (!replaced) return undefined;
  return new CliError(
    'unreachable',
    text.replace('; is the journal running? Start it, or name another', '; name another'),
    {
      cause: error,
    },
  );
}

function bootError(error: Error, where: string): CliError | undefined {
  const { message } = error;
  if (message.includes('ECONNREFUSED')) {
    const text = `nobody listens on ${where}; is the journal running? Start it, or name another with --endpoint`;
    return new CliError('unreachable', text, { cause: error });
  }
  if (speaksAnother(message)) {
    const text = `${where} answers, but not as a gRPC server; ${PORT_HINT}`;
    return new CliError('unreachable', text, { cause: error });
  }
  const system = /ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT/u.exec(message)?.[0];
  if (system === undefined && !NO_CONNECTION.test(message)) return undefined;
  const reason = system ?? 'no connection was established';
  return new CliError('unreachable', `${where} cannot be reached (${reason}); name another with --endpoint`, {
    cause: error,
  });
}

function speaksAnother(details: string): boolean {
  const last = NO_CONNECTION.exec(details)?.groups?.['last'];
  return last !== undefined && OTHER_PROTOCOL.test(last);
}
