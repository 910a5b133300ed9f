/** After all tests on clusters: the shared one goes. */

import { sweep } from './index.js';
import { SHARED } from './shared.js';

export const setup = (): void => {};

export async function teardown(): Promise<void> {
  await sweep(SHARED.name, SHARED.directory);
}
