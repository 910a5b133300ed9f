/** A directory as the agent's source: read when it is taken, so that only the latest content is parsed. */

import type { Log } from '../log.js';
import type { DirectoryContent } from './files.js';
import type { ManifestReader } from './manifests.js';
import type { Reading, Source, SourceState } from './source.js';

export interface ManifestSourceOptions {
  readonly directory: string;
  readonly reader: ManifestReader;
  readonly log: Log;
  readonly wall: () => Date;
}

export class ManifestSource implements Source {
  readonly #options: ManifestSourceOptions;
  #tell: () => void = () => {};
  #content: DirectoryContent | undefined;
  #trouble = '';
  #since = '';

  constructor(options: ManifestSourceOptions) {
    this.#options = options;
  }

  listen(tell: () => void): void {
    this.#tell = tell;
  }

  /** The directory has content that differs from the last. */
  changed(content: DirectoryContent): void {
    this.#content = content;
    this.#tell();
  }

  /** The directory cannot be read (or can again: empty). What it told last stays. */
  troubled(message: string): void {
    const { directory, log, wall } = this.#options;
    this.#trouble = message;
    this.#since = message === '' ? '' : wall().toISOString();
    if (message === '') log.info({ directory }, 'the manifest directory is readable');
    else log.error({ directory }, message);
  }

  take(): Reading | undefined {
    const content = this.#content;
    this.#content = undefined;
    return content === undefined ? undefined : this.#options.reader.read(content);
  }

  state(): SourceState {
    return {
      kind: 'directory',
      where: this.#options.directory,
      trouble: this.#trouble,
      since: this.#since,
      watches: [],
      report: null,
      hint: 'What was read before stays in force; see --manifests.',
    };
  }

  reached(): void {}
}
