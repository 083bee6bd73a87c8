/** For machines that got other addresses: the configured ones replace those that the group remembers. */
import type { Member, NodeId, Transport } from '@pact-journal/raft-core';

/** A member with the address and attributes that replace its remembered ones, where there are any. */
export type Readdress = (member: Member) => Member;

/** A transport that is told the members as `readdress` makes them. */
export function readdressed(transport: Transport, readdress: Readdress): Transport {
  return {
    start: (handler) => transport.start(handler),
    setPeers: (peers) => {
      transport.setPeers(peers.map(readdress));
    },
    send: (to, messages) => {
      transport.send(to, messages);
    },
    fetchSnapshot: (from, index, term, signal) => transport.fetchSnapshot(from, index, term, signal),
    stats: (peer: NodeId) => transport.stats(peer),
    stop: () => transport.stop(),
  };
}
