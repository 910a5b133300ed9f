/** From the directory's texts to the world, keeping the last good version of each document. */

import { checkWorld, type InForce, locateProblem, mergeLastGood, type Problem, rememberingParser } from '../../policy/index.js';
import type { DirectoryContent } from './files.js';
import type { Reading } from './source.js';

export interface ManifestReader {
  /** Never throws for what stands in a manifest; what is wrong is in `problems`. */
  read(content: DirectoryContent): Reading;
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
