/** Captures: pcap files in and out, link headers, and live captures with tcpdump. */

export type { Frame } from './frame.js';
export { decodeFrame } from './frame.js';
export { LinkReader, WAY } from './link-header.js';
export type { CaptureStatistics, LiveCapture, LiveCaptureOptions } from './live.js';
export { liveCapture } from './live.js';
export { MAXIMUM_LENGTH } from './pcap-framing.js';
export type { CaptureBatch, CapturedPacket, CaptureSource } from './pcap-reader.js';
export { readCapture, readPcap, readPcapBatches } from './pcap-reader.js';
export { LINK_TYPE, PcapStreamWriter, pcapHeader, pcapRecord, writePcap } from './pcap-writer.js';
