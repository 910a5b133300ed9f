/** From the directory's texts to the world, keeping the last good version of each document. */

import { checkWorld, type InForce, mergeLastGood, type Problem, parseManifests, type World } from '../../policy/index.js';
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

/** Remembers what is in force; of files that are skipped, too. */
export function manifestReader(): ManifestReader {
  let inForce: InForce | undefined;
  return {
    read({ files, skipped }) {
      inForce = mergeLastGood(inForce, parseManifests(files, skipped));
      const { world, problems, documents } = inForce;
      return { world, problems: [...problems, ...checkWorld(world)], documents };
    },
  };
}
