/** Our image, for a cluster without a registry: of what is compiled here, on the base image of tests. */

import { join } from 'node:path';
import { PROJECT } from '../../demo/project.js';
import { run } from '../../demo/testbed/index.js';
import { buildImage, CACHE, type Say, silent } from '../kube/index.js';

/** As containerd names what deploy/ calls `sfc`. */
export const SFC_IMAGE = 'docker.io/library/sfc:0.1.0';

/** The archive of the image. What was compiled last is taken: `make build` first. */
export async function sfcImage(say: Say = silent): Promise<string> {
  await run(['make', '-s', '-C', PROJECT, 'image-root'], { timeout: 120_000 });
  return buildImage({
    name: SFC_IMAGE,
    context: PROJECT,
    containerfile: join(PROJECT, 'Containerfile'),
    buildArguments: { ARTIFACTS: 'prebuilt' },
    archive: join(CACHE, 'images', 'sfc.tar'),
    say,
  });
}
