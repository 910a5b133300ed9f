/** Captures: pcap files in and out, and live ones with tcpdump. */

export type { Frame } from './frame.js';
export { decodeFrame } from './frame.js';
export type { CaptureStatistics, LiveCapture, LiveCaptureOptions } from './live.js';
export { liveCapture } from './live.js';
export { MAXIMUM_LENGTH } from './pcap-framing.js';
export type { CapturedPacket } from './pcap-reader.js';
export { readCapture, readPcap } from './pcap-reader.js';
export { LINK_TYPE, pcapHeader, pcapRecord, writePcap } from './pcap-writer.js';
