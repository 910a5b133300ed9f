/** Images for the nodes: sfc's own, from its Containerfile, and the pods of the walkthrough. */

import { join } from 'node:path';
import { buildImage, type Say } from '../../test/kube/index.js';
import { PROJECT } from '../project.js';
import { run } from '../testbed/index.js';

/** Roles that images are made for, and what they are called. The names are the walkthrough's. */
export const FUNCTIONS = ['openvpn', 'firewall', 'proxy', 'transparent-proxy'] as const;
export const FUNCTION_TAG = '1';

/** Builds sfc's image out of what is compiled here; its archive. Throws `COMMAND_FAILED`. */
export async function sfcImage(directory: string, version: string, say?: Say): Promise<string> {
  await run(['make', '-s', '-C', PROJECT, 'image-root'], { timeout: 120_000 });
  return buildImage({
    name: `docker.io/library/sfc:${version}`,
    context: PROJECT,
    containerfile: join(PROJECT, 'Containerfile'),
    buildArguments: { ARTIFACTS: 'prebuilt' },
    archive: join(directory, `sfc-${version}.tar`),
    ...(say === undefined ? {} : { say }),
  });
}

/** Builds the images of the walkthrough's pods; their archives. Throws `COMMAND_FAILED`. */
export async function functionImages(directory: string, say?: Say): Promise<readonly string[]> {
  const context = join(PROJECT, 'demo/kube/functions');
  const archives: string[] = [];
  for (const role of FUNCTIONS)
    archives.push(
      await buildImage({
        name: `docker.io/library/${role}:${FUNCTION_TAG}`,
        context,
        containerfile: join(context, 'Containerfile'),
        buildArguments: { ROLE: role },
        archive: join(directory, `${role}.tar`),
        ...(say === undefined ? {} : { say }),
      }),
    );
  return archives;
}
