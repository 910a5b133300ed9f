/**
 * libnftables through koffi: what nft(8) itself is made of, without a process for every change (0.4 ms in
 * place of 6). A context lives for one call: it remembers interfaces' names, and they change.
 */

import koffi from 'koffi';
import { SfcError } from '../errors/index.js';
import { closeFd, openSocket } from './libc.js';

/** NFT_CTX_OUTPUT_JSON of nftables/libnftables.h. */
const OUTPUT_JSON = 1 << 4;

function declare() {
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load('libnftables.so.1');
  } catch (cause) {
    throw new SfcError('GUARD_UNAVAILABLE', 'libnftables.so.1 is not installed (Debian: nftables)', { cause });
  }
  return {
    open: library.func('void *nft_ctx_new(uint32_t flags)'),
    close: library.func('void nft_ctx_free(void *context)'),
    setFlags: library.func('void nft_ctx_output_set_flags(void *context, unsigned int flags)'),
    keepOutput: library.func('int nft_ctx_buffer_output(void *context)'),
    keepErrors: library.func('int nft_ctx_buffer_error(void *context)'),
    run: library.func('int nft_run_cmd_from_buffer(void *context, const char *commands)'),
    output: library.func('const char *nft_ctx_get_output_buffer(void *context)'),
    errors: library.func('const char *nft_ctx_get_error_buffer(void *context)'),
  };
}

let bound: ReturnType<typeof declare> | undefined;

/** libnftables ends the process where it gets no socket: asked for here before, it is an error like others. */
function needsNetfilter(): void {
  const [AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER] = [16, 3, 12];
  try {
    closeFd(openSocket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, 'open a netfilter socket'));
  } catch (cause) {
    throw new SfcError('GUARD_UNAVAILABLE', (cause as Error).message, { cause });
  }
}

export interface NftAnswer {
  /** One JSON document for each command that lists something. */
  readonly documents: readonly unknown[];
  /** Empty when everything was done; nothing was done otherwise. */
  readonly words: string;
}

/** Runs commands, those that change something as one transaction. Throws `GUARD_UNAVAILABLE` where there is no nftables at all. */
export function nft(commands: string): NftAnswer {
  if (bound === undefined) {
    needsNetfilter();
    bound = declare();
  }
  const context: unknown = bound.open(0);
  if (context === null) throw new SfcError('GUARD_UNAVAILABLE', 'libnftables gives no context');
  try {
    bound.setFlags(context, OUTPUT_JSON);
    bound.keepOutput(context);
    bound.keepErrors(context);
    const status = Number(bound.run(context, commands));
    const words = String(bound.errors(context) ?? '').trim();
    const lines = String(bound.output(context) ?? '').split('\n');
    const documents = lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as unknown);
    return { documents, words: status === 0 ? '' : words || `status ${status}` };
  } finally {
    bound.close(context);
  }
}
