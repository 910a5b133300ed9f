import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../geneve/index.js';
import { createMemoryStore, FLOW_FLAG, FLOW_ROLE, formatFlow, TCP_STATE, typedMaps } from '../../maps/index.js';
import type { Log } from '../log.js';
import { parseConntrack } from './conntrack.js';
import { type Becoming, OpenFlows } from './index.js';

/** As conntrack 1.4.7 prints it. */
const TABLE4 = `
tcp      6 431999 ESTABLISHED src=10.244.1.2 dst=192.0.2.9 sport=40000 dport=80 src=192.0.2.9 dst=10.244.1.2 sport=80 dport=40000 [ASSURED] mark=0 use=1
udp      17 29 src=10.244.1.2 dst=10.96.0.10 sport=5353 dport=53 [UNREPLIED] src=10.244.3.7 dst=10.244.1.2 sport=53 dport=5353 mark=0 use=1
tcp      6 100 FIN_WAIT src=198.51.100.7 dst=172.18.0.2 sport=51000 dport=30080 src=10.244.1.2 dst=172.18.0.2 sport=8080 dport=61000 [ASSURED] mark=0 use=1
icmp     1 29 src=10.244.1.2 dst=192.0.2.9 type=8 code=0 id=77 src=192.0.2.9 dst=10.244.1.2 type=0 code=0 id=77 mark=0 use=1
tcp      6 9 TIME_WAIT src=10.244.1.2 dst=192.0.2.9 sport=40001 dport=80 src=192.0.2.9 dst=10.244.1.2 sport=80 dport=40001 [ASSURED] mark=0 use=1
udp      17 29 src=10.244.1.5 dst=192.0.2.9 sport=1000 dport=80 src=192.0.2.9 dst=10.244.1.5 sport=80 dport=1000 mark=0 use=1
gre      47 29 timeout=30, stream_timeout=180 src=10.244.1.2 dst=192.0.2.9 srckey=0x0 dstkey=0x0 src=192.0.2.9 dst=10.244.1.2 srckey=0x0 dstkey=0x0 mark=0 use=1
unknown  2 599 src=10.244.1.2 dst=224.0.0.22 [UNREPLIED] src=224.0.0.22 dst=10.244.1.2 use=1
`;
const TABLE6 = `
udp      17 20 src=fd00::9 dst=fd00:1::2 sport=9 dport=443 src=fd00:1::2 dst=fd00::9 sport=443 dport=9 mark=0 use=1
`;

const addressOf = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return { ...parsed, text };
};
const pod = (ifindex: number, ...addresses: string[]): Becoming => ({ id: ifindex + 100, ifindex, addresses: addresses.map(addressOf) });

function stage(conntrack: (args: readonly string[]) => Promise<string>) {
  const { sfcflow } = typedMaps(createMemoryStore());
  const said: string[] = [];
  const log = { warn: (_: object, words: string) => said.push(words), info: () => undefined } as unknown as Log;
  const flows = new OpenFlows({ conntrack, map: sfcflow, now: () => 5e9, log });
  const words = () =>
    [...sfcflow.entries()]
      .map(([key, value]) => {
        const { source, destination } = formatFlow(key, value);
        return `${key.ifindex} ${key.protocol} ${source} > ${destination} ${value.role === FLOW_ROLE.outbound ? 'outbound' : 'inbound'}`;
      })
      .sort();
  return { flows, sfcflow, said, words };
}

describe('what conntrack lists', () => {
  it('is read as it stands, but for what the datapath knows no flows of', () => {
    const parsed = parseConntrack(TABLE4 + TABLE6);
    expect(parsed.map(({ protocol, state }) => `${protocol} ${state}`.trim())).toEqual([
      '6 ESTABLISHED',
      '17',
      '6 FIN_WAIT',
      '1',
      '6 TIME_WAIT',
      '17',
      '17',
    ]);
  });

  it('may be anything: nothing comes of it', () => {
    for (const text of ['', 'tcp 6', 'tcp 6 1 ESTABLISHED src=x dst=y sport=1 dport=2 src=1.2.3.4 dst=1.2.3.4 sport=1', '\u0000=\n=='])
      expect(parseConntrack(text)).toEqual([]);
  });
});

describe('flows that are open when a pod becomes selected', () => {
  const asked: string[] = [];
  const table = async (args: readonly string[]) => {
    asked.push(args.join(' '));
    return args.includes('ipv6') ? TABLE6 : TABLE4;
  };

  it('are the pod’s own, each with who opened it, as the pod’s interface sees it', async () => {
    const { flows, words, sfcflow } = stage(table);
    await flows.remember([pod(7, '10.244.1.2', 'fd00:1::2')]);
    expect(words()).toEqual([
      '7 1 10.244.1.2:77 > 192.0.2.9:77 outbound',
      '7 17 10.244.1.2:5353 > 10.96.0.10:53 outbound',
      '7 17 [fd00::9]:9 > [fd00:1::2]:443 inbound',
      '7 6 10.244.1.2:40000 > 192.0.2.9:80 outbound',
      '7 6 172.18.0.2:61000 > 10.244.1.2:8080 inbound',
    ]);
    const states = [...sfcflow.entries()].flatMap(([{ protocol }, value]) => (protocol === 6 ? [value.tcp_state] : []));
    expect(states.sort()).toEqual([TCP_STATE.established, TCP_STATE.closingForward]);
    for (const [, value] of sfcflow.entries()) expect(value).toMatchObject({ endpoint: 107, last_seen: 5e9 });
    for (const [, { flags }] of sfcflow.entries()) expect(flags & ~FLOW_FLAG.forwardAToB).toBe(FLOW_FLAG.resolved);
  });

  it('are asked for by address of a few pods, and read whole of many', async () => {
    asked.length = 0;
    const { flows } = stage(table);
    await flows.remember([pod(7, '10.244.1.2')]);
    expect(asked).toEqual(['-L -f ipv4 --orig-src 10.244.1.2', '-L -f ipv4 --reply-src 10.244.1.2']);
    asked.length = 0;
    await flows.remember([1, 2, 3].map((last) => pod(last, `10.244.1.${last}`, `fd00:1::${last}`)));
    expect(asked).toEqual(['-L -f ipv4', '-L -f ipv6']);
    asked.length = 0;
    await flows.remember([]);
    expect(asked).toEqual([]);
  });

  it('leave alone what the datapath knows itself', async () => {
    const { flows, sfcflow } = stage(table);
    await flows.remember([pod(7, '10.244.1.2')]);
    const [[key, value] = []] = [...sfcflow.entries()];
    if (key === undefined || value === undefined) throw new Error('no entry');
    sfcflow.set(key, { ...value, role: FLOW_ROLE.source });
    await flows.remember([pod(7, '10.244.1.2')]);
    expect(sfcflow.get(key)?.role).toBe(FLOW_ROLE.source);
  });

  it('are not known where there is no conntrack, which is said once', async () => {
    const { flows, said, words } = stage(async () => Promise.reject(new Error('conntrack: ENOENT')));
    for (const _ of ['first', 'again']) await flows.remember([pod(7, '10.244.1.2')]);
    expect(words()).toEqual([]);
    expect(said).toEqual(['what is open at pods that become selected is not known: conntrack: ENOENT']);
  });
});
