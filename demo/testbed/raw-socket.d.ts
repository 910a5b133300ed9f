/** raw-socket 1.8 has no types of its own: what we use of it. */
declare module 'raw-socket' {
  export interface RawSocket {
    setOption(level: number, option: number, value: number): void;
    /** Calls back with the error, or with the bytes sent. */
    send(buffer: Buffer, offset: number, length: number, address: string, after: (error: Error | null, bytes: number) => void): void;
    close(): void;
  }
  export function createSocket(options: { readonly addressFamily: number; readonly protocol: number }): RawSocket;
  export const AddressFamily: { readonly IPv4: number; readonly IPv6: number };
  export const Protocol: { readonly UDP: number };
  export const SocketLevel: { readonly IPPROTO_IP: number; readonly IPPROTO_IPV6: number };
  export const SocketOption: { readonly IP_HDRINCL: number };
}
