/** BPF_PROG_TEST_RUN: one packet through a loaded program, without an interface. */

import koffi from 'koffi';
import { KernelError } from '../libc.js';
import { libbpf } from './libbpf.js';

export interface TestRun {
  /** tc verdict: -1 next program (pass), 2 drop, 7 redirect. */
  readonly verdict: number;
  /** The frame after the program, Ethernet header included. */
  readonly frame: Uint8Array;
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
  ctxSizeIn: 48,
  retval: 56,
  repeat: 60,
  duration: 64,
};
/** struct __sk_buff: ifindex is the word at 40; the kernel wants the rest zero. */
const SK_BUFF = { size: 192, ifindex: 40 };
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
  /** The frame after the last run; a view that the next run overwrites. */
  output(): Buffer;
}

/** Prepares `program` to run on `frame` as if it had come through interface `ifindex` of this network namespace. */
export function prepareRun(program: number, frame: Uint8Array, ifindex: number): PreparedRun {
  const input = Buffer.from(frame);
  const output = Buffer.alloc(ROOM);
  const context = Buffer.alloc(SK_BUFF.size);
  context.writeUInt32LE(ifindex, SK_BUFF.ifindex);
  const opts = Buffer.alloc(OPTS.size);
  opts.writeBigUInt64LE(BigInt(OPTS.size), 0);
  opts.writeBigUInt64LE(koffi.address(input), OPTS.dataIn);
  opts.writeBigUInt64LE(koffi.address(output), OPTS.dataOut);
  opts.writeBigUInt64LE(koffi.address(context), OPTS.ctxIn);
  opts.writeUInt32LE(context.length, OPTS.ctxSizeIn);
  return {
    frame: input,
    run(repeat = 1, length = input.length) {
      opts.writeUInt32LE(length, OPTS.dataSizeIn);
      opts.writeUInt32LE(output.length, OPTS.dataSizeOut);
      opts.writeInt32LE(repeat, OPTS.repeat);
      const result = Number(libbpf().testRun(program, opts));
      if (result < 0) throw new KernelError('BPF_PROG_TEST_RUN', -result);
      return opts.readUInt32LE(OPTS.duration);
    },
    verdict: () => opts.readInt32LE(OPTS.retval),
    output: () => {
      void context; // the kernel reads it by address: it must live as long as this
      return output.subarray(0, opts.readUInt32LE(OPTS.dataSizeOut));
    },
  };
}

/** Runs `program` once on `frame`. Throws KernelError. */
export function testRun(program: number, frame: Uint8Array, ifindex: number): TestRun {
  const prepared = prepareRun(program, frame, ifindex);
  const duration = prepared.run();
  return { verdict: prepared.verdict(), frame: new Uint8Array(prepared.output()), duration };
}
