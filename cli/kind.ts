/** What `sfc get` needs to know of a kind: where the API has it, how it is named and how it is listed. */

import type { Paint } from './colour.js';

export interface Kind<Item> {
  readonly singular: string;
  readonly plural: string;
  readonly description: string;
  readonly path: string;
  /** Names that an item answers to; undefined: items of this kind have no name. */
  readonly names: ((item: Item) => readonly string[]) | undefined;
  /** The API gives one by its name. */
  readonly byName: boolean;
  /** What is printed as JSON or YAML for an item. */
  readonly data: (item: Item) => unknown;
  /** `data` is a Kubernetes resource: several of them make a List. */
  readonly isResource: boolean;
  readonly lines: (items: readonly Item[], paint: Paint) => Iterable<string>;
  /** What more there is to say when one was asked for by name. */
  readonly details: (item: Item, paint: Paint) => Iterable<string>;
}
