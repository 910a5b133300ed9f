/** Captures that tshark reads: an independent judge of what was on a link. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { type LiveCapture, liveCapture } from '../capture/index.js';
import type { Blueprint } from '../demo/testbed/index.js';

export type Heard<Field extends string> = (field: Field) => readonly string[];

export interface Listener {
  /** What tshark reads in each packet: of each field all occurrences, outermost first. */
  read<Field extends string>(fields: readonly Field[]): Promise<readonly Heard<Field>[]>;
  /** Ends it when nobody wants to read. Idempotent. */
  stop(): Promise<void>;
}

const PREFERENCES = ['ip.defragment:FALSE', 'ipv6.defragment:FALSE', 'udp.check_checksum:TRUE', 'tcp.check_checksum:FALSE'];

let files = 0;

/** Listens at an interface, for packets of this pcap filter. Checksums that a veth leaves out are no fault: only those of ICMP count. */
export async function listen(bed: Blueprint, namespace: string, device: string, filter: string): Promise<Listener> {
  const file = join(bed.directory, `heard-${files++}.pcap`);
  const capture: LiveCapture = await liveCapture({ namespace, interface: device, filter, file, snapLength: 2048 });
  return {
    async read(fields) {
      await capture.stop();
      const argv = ['-r', file, '-n', '-d', 'udp.port==7081,geneve', ...PREFERENCES.flatMap((preference) => ['-o', preference])];
      const columns = ['-T', 'fields', '-E', 'separator=/t', '-E', 'occurrence=a', '-E', 'aggregator=;'];
      const output = execFileSync('tshark', [...argv, ...columns, ...fields.flatMap((field) => ['-e', field])], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const packets = output.split('\n').slice(0, -1);
      return packets.map((line) => {
        const cells = line.split('\t').map((cell) => cell.split(';').filter(Boolean));
        return (field) => cells[fields.indexOf(field)] ?? [];
      });
    },
    stop: async () => {
      await capture.stop();
    },
  };
}
