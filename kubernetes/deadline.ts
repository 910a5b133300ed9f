/** An end of waiting that leaves nothing behind: `AbortSignal.any` and `timeout` keep hold of a long-lived signal (Node.js 20). */

export interface Deadline {
  readonly signal: AbortSignal;
  /** From now on again. */
  extend(): void;
  /** It is not waited for any more. */
  done(): void;
}

/**
 * Aborts with `reason()` after `ms`, and with the reason of `outer` when that is aborted.
 */
export function deadline(ms: number, reason: () => unknown, outer?: AbortSignal): Deadline {
  const controller = new AbortController();
  const passOn = () => controller.abort(outer?.reason);
  const begin = () => setTimeout(() => controller.abort(reason()), ms);
  let timer = begin();
  if (outer?.aborted === true) passOn();
  outer?.addEventListener('abort', passOn, { once: true });
  return {
    signal: controller.signal,
    extend() {
      clearTimeout(timer);
      timer = begin();
    },
    done() {
      clearTimeout(timer);
      outer?.removeEventListener('abort', passOn);
    },
  };
}
