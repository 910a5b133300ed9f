/**
 * A program of its own, run inside a namespace: gives the kernel several datagrams in one piece (UDP_SEGMENT, udp(7)),
 * says how that ended, and keeps its socket, which ICMP errors are for, until it is stopped. Argument: a `SegmentOrder`
 * as JSON. Standard output: a `SegmentsSent` as JSON.
 */

import { endianness } from 'node:os';
import { addressOf, errnoName, openSocket, sendAt, setSocketOption } from '../../datapath/libc.js';
import { parseAddress } from '../../geneve/index.js';
import { requestLine, type SegmentOrder, type SegmentsSent } from './protocol.js';

const SOCK_DGRAM = 2;
/** linux/udp.h */
const [SOL_UDP, UDP_SEGMENT] = [17, 103];

const order = JSON.parse(process.argv[2] ?? '{}') as SegmentOrder;
const to = parseAddress(order.server);
if (to === undefined) throw new RangeError(`${order.server} is no address`);

/** struct sockaddr_in, struct sockaddr_in6: family of the machine's byte order, port, address at 4 or 8. */
const [family, at, bytes] = to.family === 1 ? [2, 4, to.bytes.subarray(0, 4)] : [10, 8, to.bytes];
const socketAddress = new Uint8Array(to.family === 1 ? 16 : 28);
const view = new DataView(socketAddress.buffer);
view.setUint16(0, family, endianness() === 'LE');
view.setUint16(2, order.port);
socketAddress.set(bytes, at);

/** A request that fills a segment. */
const segment = (id: string): string => requestLine(id, order.segment - requestLine(id, 0).length);

const payload = Buffer.from(order.ids.map(segment).join(''), 'latin1');
const socket = openSocket(family, SOCK_DGRAM, 0, 'open a UDP socket');
setSocketOption(socket, SOL_UDP, UDP_SEGMENT, order.segment, 'UDP_SEGMENT');
const result = sendAt(socket, addressOf(payload), payload.length, addressOf(socketAddress), socketAddress.length);
const sent: SegmentsSent = { bytes: Math.max(result, 0), error: result < 0 ? errnoName(result) : '' };
process.stdout.write(`${JSON.stringify(sent)}\n`);
setInterval(() => {}, 60_000);
