/** What tests with real agents share. */

import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Cluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';

/** Puts a file into the agents' directory in one step: none of them reads half of it. */
export async function placeManifests(cluster: Cluster, name: string, manifests: readonly Manifest[]): Promise<void> {
  const file = join(cluster.manifests, name);
  await writeFile(`${file}.draft`, manifests.map((manifest) => stringify(manifest)).join('---\n'));
  await rename(`${file}.draft`, file);
}
