import { isIP } from 'node:net';

/** A TCP address. */
export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** Parses `host:port` or `[v6]:port`. Undefined where it is neither. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]\s]+)):(?<port>\d{1,5})$/.exec(text);
  const v6 = match?.groups?.['v6'];
  const host = v6 ?? match?.groups?.['host'];
  const port = Number(match?.groups?.['port']);
  if (host === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  if (v6 !== undefined ? isIP(v6) !== 6 : !isHost(host)) return undefined;
  return { host, port };
}

function isHost(host: string): boolean {
  if (/^[\d.]+$/.test(host)) return isIP(host) === 4;
  return (
    host.length <= 253 && /^[a-z\d_]([a-z\d_-]*[a-z\d_])?(\.[a-z\d_]([a-z\d_-]*[a-z\d_])?)*\.?$/i.test(host)
  );
}

/** The address as text, an IPv6 host in brackets. */
export function formatAddress(address: Address): string {
  return address.host.includes(':')
    ? `[${address.host}]:${String(address.port)}`
    : `${address.host}:${String(address.port)}`;
}

/** Whether only processes of this machine can reach it. A name is not looked up: of names only `localhost` counts. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Whether it stands for every interface, so that it can be listened on but not connected to. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Whether two addresses are written the same. */
export function sameAddress(left: Address, right: Address): boolean {
  return left.port === right.port && left.host === right.host;
}
