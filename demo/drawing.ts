/** The topology as a drawing in text. */

import type { Blueprint } from './testbed/index.js';

/** Lines of at most about 110 columns for three nodes. */
export function drawingOf(bed: Blueprint): string {
  const boxes = bed.nodes.map((node) => {
    const pods = bed.pods.filter((pod) => pod.node === node.name);
    const title = ` ${node.name} ${node.addressing.map(({ address }) => address).join(' ')} `;
    const lines = pods.map((pod) => ` ${pod.name.padEnd(11)} ${pod.addresses.map((address) => address.padEnd(12)).join(' ')} `);
    const ranges = node.addressing.map(({ podCidr }) => podCidr).join(', ');
    const width = Math.max(title.length + 2, ...lines.map((line) => line.length), ranges.length + 14);
    return {
      title,
      lines: [...lines, ` (${node.attachment}, ${ranges})`],
      width,
      client: pods.some((pod) => pod.name === bed.client?.pod),
    };
  });
  const height = Math.max(...boxes.map((box) => box.lines.length));
  const row = (draw: (box: (typeof boxes)[number]) => string): string => ` ${boxes.map(draw).join('  ')}`.trimEnd();
  const centre = (text: string, width: number, filler = ' '): string => {
    const left = Math.floor((width - text.length) / 2);
    return filler.repeat(left) + text + filler.repeat(Math.max(width - text.length - left, 0));
  };
  const networks = (bed.client?.addressing ?? []).map(({ network }) => network).join(', ');
  const span = boxes.reduce((sum, box) => sum + box.width + 4, -2);
  return [
    ...(bed.client === undefined
      ? []
      : [
          row((box) => (box.client ? centre(`clients ${networks}`, box.width + 2) : ' '.repeat(box.width + 2))),
          row((box) => (box.client ? centre('│', box.width + 2) : ' '.repeat(box.width + 2))),
        ]),
    row((box) => `┌─${box.title}${'─'.repeat(box.width - box.title.length - 1)}┐`),
    ...Array.from({ length: height }, (_, line) => row((box) => `│${(box.lines[line] ?? '').padEnd(box.width)}│`)),
    row((box) => `└${centre('┬', box.width, '─')}┘`),
    ` ${boxes.map((box) => centre('┴', box.width + 2, '═')).join('══')}`,
    ` ${centre(`fabric ${bed.fabric.networks.join(', ')}, MTU ${bed.mtu.fabric} (pods ${bed.mtu.pod}): Geneve + NSH on UDP 7081 travels here`, span)}`,
    ` ${centre('│', span)}`,
    ` ${centre(`server ${bed.server.addresses.join(', ')}, port ${bed.server.port}, outside the cluster`, span)}`,
  ]
    .map((line) => line.trimEnd())
    .join('\n');
}

/** The way of a request, in one line. */
export const ROUTE =
  'client ─► vpn ═► firewall ═► proxy ─► server      ═► Geneve + NSH, UDP 7081   ─► plain; replies walk back the same way';
