/** What `bench/watch.ts` and the processes with its agents say to each other. */

export interface AgentsOrder {
  readonly kubeconfig: string;
  /** Numbers of the nodes, the last not included. */
  readonly from: number;
  readonly to: number;
}

/** What the parent asks: to be told when every agent has programmed another set of selectors than now. */
export type Asked = { readonly what: 'arm' } | { readonly what: 'figures' };

export interface Figures {
  readonly requests: number;
  readonly received: number;
  readonly connections: number;
  readonly reports: number;
  /** Opened, and read as a whole. */
  readonly watches: number;
  readonly lists: number;
  /** Agents that cannot reach the API server now. */
  readonly troubled: number;
  /** Bytes, of the whole process. */
  readonly resident: number;
  readonly heap: number;
  /** Seconds, of the whole process. */
  readonly cpu: number;
  /** Milliseconds that the last round of each agent took. */
  readonly rounds: readonly number[];
  readonly entries: readonly number[];
}

export type Answered =
  | { readonly what: 'ready'; readonly count: number }
  | { readonly what: 'armed' }
  /** Milliseconds since 1970 at which each agent had it programmed. */
  | { readonly what: 'programmed'; readonly at: readonly number[] }
  | ({ readonly what: 'figures' } & Figures);

export const nodeName = (number: number) => `node${String(number).padStart(4, '0')}`;
