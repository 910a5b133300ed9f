/** Images for the nodes: sfc's own, from its Containerfile, and the pods of the walkthrough. */

import { join } from 'node:path';
import { buildImage, type Say } from '../../test/kube/index.js';
import { PROJECT } from '../project.js';
import { run } from '../testbed/index.js';

/** One image for all pods of the walkthrough: what one does is its command, `/functions/<role>/run`. */
export const FUNCTIONS_IMAGE = 'docker.io/library/sfc-functions';
export const FUNCTIONS_TAG = '1';

export type FunctionRole = 'openvpn' | 'firewall' | 'proxy' | 'transparent-proxy';
export const commandOf = (role: FunctionRole): readonly string[] => [`/functions/${role}/run`];

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

/** Builds the image of the walkthrough's pods; its archive. Throws `COMMAND_FAILED`. */
export function functionsImage(directory: string, say?: Say): Promise<string> {
  const context = join(PROJECT, 'demo/kube/functions');
  return buildImage({
    name: `${FUNCTIONS_IMAGE}:${FUNCTIONS_TAG}`,
    context,
    containerfile: join(context, 'Containerfile'),
    archive: join(directory, 'functions.tar'),
    ...(say === undefined ? {} : { say }),
  });
}
