/** BPF_PROG_TEST_RUN: one packet through a loaded program, without an interface. */

import koffi from 'koffi';
import { KernelError } from '../libc.js';
import { libbpf } from './libbpf.js';

export interface TestRun {
  /** tc verdict: -1 next program (pass), 2 drop, 7 redirect. */
  readonly verdict: number;
  /** The frame after the program, Ethernet header included. */
  readonly frame: Uint8Array;
  /** The packet's mark after it. */
  readonly mark: number;
  /** ns. */
  readonly duration: number;
}

/** struct bpf_test_run_opts, 64-bit: offsets of the fields used. */
const OPTS = {
  size: 80,
  dataIn: 8,
  dataOut: 16,
  dataSizeIn: 24,
  dataSizeOut: 28,
  ctxIn: 32,
  ctxOut: 40,
  ctxSizeIn: 48,
  ctxSizeOut: 52,
  retval: 56,
  repeat: 60,
  duration: 64,
};
/** struct __sk_buff (linux/bpf.h): of the words that the kernel takes those used; it wants the rest zero. */
const SK_BUFF = { size: 192, mark: 8, ingress: 36, ifindex: 40, segment: 176 };
const ROOM = 65536;

/** A program and a frame, made ready once and run many times. */
export interface PreparedRun {
  /** The frame that goes in; bytes may be changed between runs. */
  readonly frame: Buffer;
  /**
   * Runs and returns the average duration, ns. The kernel gives a repetition the frame as the one
   * before left it: a program that changes its packet is measured with `repeat` 1. `length`: so many
   * bytes of the frame, by default all. Throws KernelError.
   */
  run(repeat?: number, length?: number): number;
  /** tc verdict of the last run: -1 next program (pass), 2 drop, 7 redirect. */
  verdict(): number;
  /** The packet's mark after the last run. */
  mark(): number;
  /** The frame after the last run; a view that the next run overwrites. */
  output(): Buffer;
}

/** More of what the kernel knows of a packet; by default nothing. */
export interface PacketMeta {
  readonly mark?: number;
  /** The interface by which it came to this network namespace; 0: none, it was made here. */
  readonly ingress?: number;
  /** It is many packets, with so many bytes in each. */
  readonly segment?: number;
}

/** Prepares `program` to run on `frame` as if it had come through interface `ifindex` of this network namespace. */
export function prepareRun(program: number, frame: Uint8Array, ifindex: number, meta: PacketMeta = {}): PreparedRun {
  const input = Buffer.from(frame);
  const output = Buffer.alloc(ROOM);
  const context = Buffer.alloc(SK_BUFF.size);
  const after = Buffer.alloc(SK_BUFF.size);
  context.writeUInt32LE(ifindex, SK_BUFF.ifindex);
  context.writeUInt32LE(meta.mark ?? 0, SK_BUFF.mark);
  context.writeUInt32LE(meta.ingress ?? 0, SK_BUFF.ingress);
  context.writeUInt32LE(meta.segment ?? 0, SK_BUFF.segment);
  const opts = Buffer.alloc(OPTS.size);
  opts.writeBigUInt64LE(BigInt(OPTS.size), 0);
  opts.writeBigUInt64LE(koffi.address(input), OPTS.dataIn);
  opts.writeBigUInt64LE(koffi.address(output), OPTS.dataOut);
  opts.writeBigUInt64LE(koffi.address(context), OPTS.ctxIn);
  opts.writeUInt32LE(context.length, OPTS.ctxSizeIn);
  opts.writeBigUInt64LE(koffi.address(after), OPTS.ctxOut);
  return {
    frame: input,
    run(repeat = 1, length = input.length) {
      opts.writeUInt32LE(length, OPTS.dataSizeIn);
      opts.writeUInt32LE(output.length, OPTS.dataSizeOut);
      opts.writeUInt32LE(after.length, OPTS.ctxSizeOut);
      opts.writeInt32LE(repeat, OPTS.repeat);
      const result = Number(libbpf().testRun(program, opts));
      if (result < 0) throw new KernelError('BPF_PROG_TEST_RUN', -result);
      return opts.readUInt32LE(OPTS.duration);
    },
    verdict: () => opts.readInt32LE(OPTS.retval),
    mark: () => after.readUInt32LE(SK_BUFF.mark),
    output: () => {
      void context; // the kernel reads it by address: it must live as long as this
      return output.subarray(0, opts.readUInt32LE(OPTS.dataSizeOut));
    },
  };
}

/** Runs `program` once on `frame`. Throws KernelError. */
export function testRun(program: number, frame: Uint8Array, ifindex: number, meta: PacketMeta = {}): TestRun {
  const prepared = prepareRun(program, frame, ifindex, meta);
  const duration = prepared.run();
  return { verdict: prepared.verdict(), frame: new Uint8Array(prepared.output()), mark: prepared.mark(), duration };
}
