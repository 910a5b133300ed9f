/** Every destination, by family: what an egress rule without `to` means. */

import { FAMILY } from '../maps/index.js';
import type { Cidr } from './desired.js';

export const ANY_IPV4: Cidr = { family: FAMILY.ipv4, bytes: new Uint8Array(16), prefixLength: 0, text: '0.0.0.0/0' };
export const ANY_IPV6: Cidr = { family: FAMILY.ipv6, bytes: new Uint8Array(16), prefixLength: 0, text: '::/0' };
