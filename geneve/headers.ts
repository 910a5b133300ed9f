/** Every field table, outermost header first: the order of docs/reference/wire.md. */

import { ETHERNET_HEADER } from './ethernet.js';
import type { WireHeader } from './field-table.js';
import { GENEVE_HEADER, GENEVE_OPTION_HEADER } from './geneve-header.js';
import { IPV4_HEADER } from './ipv4.js';
import { AUTHENTICATION_HEADER, IPV6_EXTENSION_HEADER, IPV6_FRAGMENT_HEADER, IPV6_HEADER } from './ipv6.js';
import { NSH_BASE_HEADER, NSH_SERVICE_PATH_HEADER } from './nsh.js';
import { ICMP_HEADER, TCP_HEADER, UDP_HEADER } from './transport.js';

export const WIRE_HEADERS: readonly WireHeader[] = [
  ETHERNET_HEADER,
  IPV4_HEADER,
  IPV6_HEADER,
  IPV6_EXTENSION_HEADER,
  IPV6_FRAGMENT_HEADER,
  AUTHENTICATION_HEADER,
  UDP_HEADER,
  GENEVE_HEADER,
  GENEVE_OPTION_HEADER,
  NSH_BASE_HEADER,
  NSH_SERVICE_PATH_HEADER,
  TCP_HEADER,
  ICMP_HEADER,
];
