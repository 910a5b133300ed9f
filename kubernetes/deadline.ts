/** Ends of waiting that leave nothing behind, and are fair to the one that is waited for. */

/**
 * Calls `late` after `ms`, but not before what has come meanwhile was read: a process that was held up for longer than it waits
 * (an overloaded node) finds its timer due first and the answer second. In a turn of Node's loop reading stands between
 * timers and immediates.
 * @returns ends the waiting
 */
export function after(ms: number, late: () => void): () => void {
  let immediate: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    immediate = setImmediate(late);
  }, ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
}

export interface Deadline {
  readonly signal: AbortSignal;
  /** From now on again. */
  extend(): void;
  /** It is not waited for any more. */
  done(): void;
}

/**
 * `AbortSignal.any` and `timeout` keep hold of a long-lived signal (Node.js 20); this does not.
 *
 * Aborts with `reason()` after `ms`, and with the reason of `outer` when that is aborted.
 */
export function deadline(ms: number, reason: () => unknown, outer?: AbortSignal): Deadline {
  const controller = new AbortController();
  const passOn = () => controller.abort(outer?.reason);
  const begin = () => after(ms, () => controller.abort(reason()));
  let stop = begin();
  if (outer?.aborted === true) passOn();
  outer?.addEventListener('abort', passOn, { once: true });
  return {
    signal: controller.signal,
    extend() {
      stop();
      stop = begin();
    },
    done() {
      stop();
      outer?.removeEventListener('abort', passOn);
    },
  };
}
