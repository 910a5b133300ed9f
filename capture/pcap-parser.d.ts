/** What we use of pcap-parser 0.2.1, which has no types of its own. */
declare module 'pcap-parser' {
  interface PacketHeader {
    readonly timestampSeconds: number;
    readonly timestampMicroseconds: number;
    readonly capturedLength: number;
    readonly originalLength: number;
  }

  interface Parser {
    on(event: 'globalHeader', listener: (header: { readonly snapshotLength: number; readonly linkLayerType: number }) => void): this;
    on(event: 'packet', listener: (packet: { readonly header: PacketHeader; readonly data: Buffer }) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    on(event: 'end', listener: () => void): this;
  }

  /** Reads from anything that has `pause`, `resume` and the events of a readable stream. */
  export function parse(input: NodeJS.EventEmitter & { pause(): unknown; resume(): unknown }): Parser;
}
