import type { Http2SecureServer, Http2Server } from 'node:http2';
import { BlockList } from 'node:net';
import type { Socket, SocketAddress } from 'node:net';
import { Arrivals } from './arrivals.ts';
import { Doorkeeper } from './doorkeeper.ts';
import type { AddressLimits } from './doorkeeper.ts';
import { Handshakes } from './handshakes.ts';
import type { Handshake } from './handshakes.ts';
import { Refusals } from './refusals.ts';

export interface ReceptionOptions {
  readonly isTls: boolean;
  /** Of the listener. */
  readonly connectionsMax: number;
  /** How long a connection may say nothing, or wait for its handshake, in ms. */
  readonly handshakeTimeoutMs: number;
  readonly perAddress: AddressLimits | undefined;
  /** Told of an address that is turned away from now on. Must not throw. */
  readonly onFlood: (address: string) => void;
}

/** A connection that was not turned away. */
interface Guest {
  readonly socket: Socket;
  readonly address: string;
  /** Undefined until it has said something. */
  handshake: Handshake | undefined;
  called: boolean;
}

/**
 * Receives connections before the server does. What is turned away costs neither a handshake nor a session; what may stay
 * becomes the server's a few at a time, so that a wave of connections leaves calls their turns. A connection that has to
 * wait is open already, and what it has sent waits with it.
 */
export class Reception {
  readonly #options: ReceptionOptions;
  readonly #doorkeeper: Doorkeeper | undefined;
  readonly #refusals: Refusals;
  readonly #handshakes = new Handshakes();
  readonly #guests = new Map<string, Guest>();
  #arrivals: Arrivals | undefined;

  constructor(options: ReceptionOptions) {
    const { perAddress, connectionsMax } = options;
    this.#options = options;
    this.#refusals = new Refusals(connectionsMax);
    this.#doorkeeper = perAddress === undefined ? undefined : new Doorkeeper(perAddress);
  }

  /** What the server is to be made with. node:net asks it before it makes a socket, which a refusal does not need. */
  get blockList(): BlockList {
    return new Gate((address) => !this.#refusals.delays() && this.#doorkeeper?.refuses(address) === true);
  }

  /** Receives the server's connections. To be called when it has its own listeners, and before it listens. */
  receive(server: Http2Server | Http2SecureServer): void {
    const { handshakeTimeoutMs, isTls } = this.#options;
    const listeners = server.listeners('connection');
    const takeUp = (socket: Socket): void => {
      for (const listener of listeners) Reflect.apply(listener, server, [socket]);
    };
    this.#arrivals = isTls
      ? new Arrivals(handshakeTimeoutMs, takeUp, (socket, work) => this.#shakeHandsInTurn(socket, work))
      : new Arrivals(handshakeTimeoutMs, takeUp);
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => this.#onConnection(socket));
    if (isTls) server.on('secureConnection', (socket: Socket) => this.#shookHands(nameOf(socket)));
  }

  /** Connections that were turned away because of their address. */
  get refused(): number {
    return this.#doorkeeper?.refused ?? 0;
  }

  /** A connection was used for what it is for. */
  called(peer: string): void {
    const guest = this.#guests.get(peer);
    if (guest !== undefined) guest.called = true;
  }

  /** A connection of that address was ended because it flooded. */
  flooded(address: string | undefined): void {
    this.#doorkeeper?.flooded(address);
    this.#options.onFlood(address ?? '');
  }

  /** Drops the connections that were not taken up yet, and those that are no further than their handshake. */
  close(): void {
    this.#arrivals?.close();
    this.#refusals.close();
    for (const { socket, handshake } of this.#guests.values())
      if (handshake?.state === 'pending') socket.destroy();
  }

  /** Drops a connection, or whatever is open, whether its client closes its side or not. */
  drop(peer?: string): void {
    const guests = peer === undefined ? [...this.#guests.values()] : [this.#guests.get(peer)];
    for (const guest of guests) guest?.socket.destroy();
  }

  #onConnection(socket: Socket): void {
    if (this.#doorkeeper?.admits(socket) === false) {
      this.#refusals.add(socket);
      return;
    }
    this.#register(socket);
    this.#arrivals?.add(socket);
  }

  #register(socket: Socket): void {
    const name = nameOf(socket);
    const guest: Guest = { socket, address: socket.remoteAddress ?? '', handshake: undefined, called: false };
    this.#guests.set(name, guest);
    socket.once('close', () => this.#left(name, guest));
  }

  #shakeHandsInTurn(socket: Socket, begin: () => void): void {
    if (socket.readableLength === 0) return begin(); // it has left: that costs nothing
    const guest = this.#guests.get(nameOf(socket));
    if (guest !== undefined) guest.handshake = this.#handshakes.add(guest.address, begin);
  }

  #shookHands(name: string): void {
    const handshake = this.#guests.get(name)?.handshake;
    if (handshake !== undefined) this.#handshakes.end(handshake);
  }

  #left(name: string, guest: Guest): void {
    const { address, handshake, called } = guest;
    if (this.#guests.get(name) === guest) this.#guests.delete(name);
    if (handshake === undefined) return;
    const cost = handshake.state !== 'waiting';
    this.#handshakes.end(handshake);
    if (cost && !called && this.#doorkeeper?.wasted(address) === true) this.#options.onFlood(address);
  }
}

/** Node before 22.13 does not ask. */
class Gate extends BlockList {
  readonly #refuses: (address: string) => boolean;

  constructor(refuses: (address: string) => boolean) {
    super();
    this.#refuses = refuses;
  }

  override check(address: string | SocketAddress): boolean {
    return this.#refuses(typeof address === 'string' ? address : address.address);
  }
}

/** The same for a connection and for what TLS makes of it. */
export function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''}:${String(remotePort ?? '')}`;
}
