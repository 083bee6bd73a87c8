/** NodeService: the state and assignment of compute nodes. */
import { configStateFromWire, journal, nodeDetailToWire, nodeToWire } from '@pact-journal/journal-proto';
import { deltaSize, type NodeSummary } from '@pact-journal/journal-state';
import { notFound, requiredId, type ServiceContext } from './context.ts';
import { map, pages, take } from './pages.ts';

const methods = journal.NodeServiceDefinition;
const NODES_PER_MESSAGE = 1_000;

export function nodeService({ rpc, writer, journal: state }: ServiceContext): journal.NodeServiceServer {
  return {
    updateNodeState: rpc.leader(methods.updateNodeState, async (request, { requestId }) => {
      const node_id = requiredId(request.nodeId, 'node_id');
      const command = {
        type: 'UpdateNodeState',
        node_id,
        state: configStateFromWire(request.configState),
      } as const;
      return { receipt: await writer.submit(command, requestId) };
    }),
    assignNode: rpc.leader(methods.assignNode, async (request, { requestId }) => {
      const node_id = requiredId(request.nodeId, 'node_id');
      const vcluster_id =
        request.vclusterId === undefined ? null : requiredId(request.vclusterId, 'vcluster_id');
      return { receipt: await writer.submit({ type: 'AssignNode', node_id, vcluster_id }, requestId) };
    }),
    getNode: rpc.unary(methods.getNode, (request) => {
      const nodeId = requiredId(request.nodeId, 'node_id');
      const config_state = state().nodeState(nodeId);
      if (config_state === undefined)
        throw notFound(`nothing has ever mentioned node ${JSON.stringify(nodeId)}`);
      const delta = state().nodeDelta(nodeId);
      const vcluster_id = state().assignment(nodeId) ?? null;
      return nodeDetailToWire(
        { node_id: nodeId, vcluster_id, config_state, deviations: deltaSize(delta.delta) },
        delta,
      );
    }),
    listNodes: rpc.stream(methods.listNodes, (request) => {
      const nodes = take(state().nodes(), request.limit ?? Infinity, filterOf(request));
      return map(pages(nodes, { items: NODES_PER_MESSAGE }), (page) => ({ nodes: page.map(nodeToWire) }));
    }),
  };
}

function filterOf(request: journal.ListNodesRequest): (node: NodeSummary) => boolean {
  const wanted = request.configState === undefined ? undefined : configStateFromWire(request.configState);
  return (node) =>
    (request.vclusterId === undefined || node.vcluster_id === request.vclusterId) &&
    (wanted === undefined || node.config_state === wanted) &&
    (!request.deviatingOnly || node.deviations > 0);
}
