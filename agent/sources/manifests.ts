/** From the directory's texts to the world, keeping the last good version of each document. */

import { checkWorld, type InForce, locateProblem, mergeLastGood, type Problem, rememberingParser, type World } from '../../policy/index.js';
import type { DirectoryContent } from './files.js';

export interface ReadManifests {
  readonly world: World;
  readonly problems: readonly Problem[];
  /** Documents found, good and bad. */
  readonly documents: number;
  /** Puts to a problem of a resource as a whole where that resource stands. */
  locate(problem: Problem): Problem;
}

export interface ManifestReader {
  /** Never throws for what stands in a manifest; what is wrong is in `problems`. */
  read(content: DirectoryContent): ReadManifests;
}

/** Remembers what is in force; of files that are skipped, too. */
export function manifestReader(): ManifestReader {
  const parse = rememberingParser();
  let inForce: InForce | undefined;
  return {
    read({ files, skipped }) {
      const parsed = parse(files, skipped);
      inForce = mergeLastGood(inForce, parsed);
      const { world, problems, documents } = inForce;
      const locate = (problem: Problem) => locateProblem(problem, parsed.entries);
      return { world, problems: [...problems, ...checkWorld(world).map(locate)], documents, locate };
    },
  };
}
