/** The walkthrough's five steps of troubleshooting, with its own commands. */

import { startEchoServer, startSteady } from '../testbed/index.js';
import type { ShownStep } from '../walkthrough.js';
import { agentOf, SYSTEM } from './installed.js';
import type { KubeWalkthrough } from './walkthrough.js';

/** Flows or rows shown: enough to see the kinds there are. */
const MOST_LINES = 14;
const PACKETS = 8;

/** Runs each step where it has most to show. Throws `COMMAND_FAILED`. */
export async function troubleshooting(walkthrough: KubeWalkthrough): Promise<readonly ShownStep[]> {
  const { cluster, clients } = walkthrough;
  const node = (await cluster.kubectl(['-n', 'vpn', 'get', 'pod', 'vpn', '-o', 'jsonpath={.spec.nodeName}'])).trim();
  const agent = await agentOf(cluster, node);
  const step = async (title: string, ...args: readonly string[]): Promise<ShownStep> => {
    const lines = (await cluster.kubectl(args)).trimEnd().split('\n');
    const shown = lines.length <= MOST_LINES ? lines : [...lines.slice(0, MOST_LINES), `… and ${lines.length - MOST_LINES} more`];
    return { title, node: 'admin', command: `kubectl ${args.join(' ')}`, output: shown.join('\n') };
  };
  const inAgent = (...argv: readonly string[]) => ['-n', SYSTEM, 'exec', agent, '-c', 'sfcd', '--', ...argv];
  const bed = (await walkthrough.bed()).blueprint;
  const echo = await startEchoServer(bed);
  // So that there is something to capture.
  const traffic = await startSteady(clients.client.namespace, {
    ...bed.server,
    server: bed.server.address,
    sources: clients.client.addresses,
  });
  try {
    return [
      await step('1. servicePathId is set on the chain', 'get', 'servicefunctionchains', '-o', 'wide'),
      await step('   and on all nodes', 'get', 'trafficselectors,steeringnodes'),
      await step(
        '2. a Service for each service function',
        ...['get', 'svc', '-A', '-l', 'networking.gke.io/managed-by=service-steering-controller.gke.io'],
      ),
      await step("3. the service functions' addresses in sfcpath", ...inAgent('sfc', 'bpf', 'sfcpath', 'list')),
      await step('4. the selected pods of this node in sfcselect', ...inAgent('sfc', 'bpf', 'sfcselect', 'list')),
      await step(
        '5. Geneve on UDP 7081, captured in the pod of the agent',
        ...inAgent('tcpdump', '-nn', '-i', 'any', '-c', String(PACKETS), 'udp', 'port', '7081'),
      ),
    ];
  } finally {
    await traffic.end();
    await echo.stop();
  }
}
