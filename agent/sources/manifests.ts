/** From the directory's texts to the world, keeping the last good version of each document. */

import type { Problem, World } from '../../policy/index.js';
import type { DirectoryContent } from './files.js';

export interface ReadManifests {
  readonly world: World;
  readonly problems: readonly Problem[];
  /** Documents found, good and bad. */
  readonly documents: number;
}

export interface ManifestReader {
  /** Never throws for what stands in a manifest; what is wrong is in `problems`. */
  read(content: DirectoryContent): ReadManifests;
}
