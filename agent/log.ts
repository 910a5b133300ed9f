/** The part of a logger (pino's shape) that the agent needs. */
export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Says each message when it begins and nothing while it lasts; a message that returns is said again. */
export class Standing {
  #said = new Set<string>();

  /** @param say called for each of `messages` that was not among the last call's */
  tell(messages: Iterable<string>, say: (message: string) => void): void {
    const now = new Set(messages);
    for (const message of now) if (!this.#said.has(message)) say(message);
    this.#said = now;
  }
}
