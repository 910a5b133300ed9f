/**
 * libbpf through koffi: the field's own loader. Only declarations and the calling convention live
 * here; every function throws a `KernelError` that names the operation and the errno.
 */

import koffi from 'koffi';
import { SfcError } from '../../errors/index.js';
import { KernelError } from '../libc.js';

/** Opaque pointer of libbpf. */
export type Pointer = { readonly __libbpf: unique symbol };

type NativeFunction = (...args: unknown[]) => unknown;

function declare() {
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load('libbpf.so.1');
  } catch (cause) {
    throw new SfcError('BPF_UNAVAILABLE', 'libbpf.so.1 is not installed (Debian: libbpf1)', { cause });
  }
  const f = (prototype: string): NativeFunction => library.func(prototype) as NativeFunction;
  return {
    objectOpenFile: f('void *bpf_object__open_file(const char *path, const void *opts)'),
    objectLoad: f('int bpf_object__load(void *object)'),
    objectClose: f('void bpf_object__close(void *object)'),
    objectBtf: f('void *bpf_object__btf(void *object)'),
    findMap: f('void *bpf_object__find_map_by_name(void *object, const char *name)'),
    findProgram: f('void *bpf_object__find_program_by_name(void *object, const char *name)'),
    programFd: f('int bpf_program__fd(void *program)'),
    programSetLog: f('int bpf_program__set_log_buf(void *program, char *log, size_t size)'),
    mapFd: f('int bpf_map__fd(void *map)'),
    mapSetMaxEntries: f('int bpf_map__set_max_entries(void *map, uint32_t entries)'),
    mapReuseFd: f('int bpf_map__reuse_fd(void *map, int fd)'),
    mapSetInitialValue: f('int bpf_map__set_initial_value(void *map, const void *data, size_t size)'),
    btfFindByNameKind: f('int btf__find_by_name_kind(void *btf, const char *name, uint32_t kind)'),
    btfTypeById: f('void *btf__type_by_id(void *btf, uint32_t id)'),
    btfNameByOffset: f('const char *btf__name_by_offset(void *btf, uint32_t offset)'),
    btfResolveSize: f('int64_t btf__resolve_size(void *btf, uint32_t id)'),
    objGet: f('int bpf_obj_get(const char *path)'),
    objPin: f('int bpf_obj_pin(int fd, const char *path)'),
    objInfo: f('int bpf_obj_get_info_by_fd(int fd, void *info, _Inout_ uint32_t *length)'),
    mapLookup: f('int bpf_map_lookup_elem(int fd, const void *key, void *value)'),
    mapUpdate: f('int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)'),
    mapDelete: f('int bpf_map_delete_elem(int fd, const void *key)'),
    mapNextKey: f('int bpf_map_get_next_key(int fd, const void *key, void *next)'),
    mapLookupBatch: f(
      'int bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values, _Inout_ uint32_t *count, const void *opts)',
    ),
    mapUpdateBatch: f('int bpf_map_update_batch(int fd, const void *keys, const void *values, _Inout_ uint32_t *count, const void *opts)'),
    mapDeleteBatch: f('int bpf_map_delete_batch(int fd, const void *keys, _Inout_ uint32_t *count, const void *opts)'),
    testRun: f('int bpf_prog_test_run_opts(int fd, void *opts)'),
    tcHookCreate: f('int bpf_tc_hook_create(void *hook)'),
    tcAttach: f('int bpf_tc_attach(const void *hook, void *opts)'),
    tcQuery: f('int bpf_tc_query(const void *hook, void *opts)'),
    tcDetach: f('int bpf_tc_detach(const void *hook, const void *opts)'),
    possibleCpus: f('int libbpf_num_possible_cpus()'),
    setPrint: f('void *libbpf_set_print(void *callback)'),
  };
}

let bound: ReturnType<typeof declare> | undefined;

/** Binds libbpf on first use, so that commands which need no BPF run without it. */
export function libbpf(): ReturnType<typeof declare> {
  if (bound === undefined) {
    bound = declare();
    bound.setPrint(null); // errors come back as errno; the verifier log is fetched on its own
  }
  return bound;
}

/** Calls a function that returns a negative errno, or -1 with errno set (libbpf 1.x does both alike). */
export function checked(operation: string, result: unknown): number {
  const value = Number(result);
  if (value < 0) throw new KernelError(operation, koffi.errno() || -value);
  return value;
}

/** Same for a function that returns a pointer, NULL on error. */
export function checkedPointer(operation: string, result: unknown): Pointer {
  if (result === null || result === undefined) throw new KernelError(operation, koffi.errno());
  return result as Pointer;
}

/** errno of the call just made. */
export function lastErrno(): number {
  return koffi.errno();
}

/** Reads `count` 32-bit words at a pointer that libbpf gave. */
export function readWords(pointer: Pointer, count: number): readonly number[] {
  return koffi.decode(pointer, koffi.array('uint32_t', count)) as number[];
}
