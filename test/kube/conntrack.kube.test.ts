/** What conntrack sees half of, where pods are ports of a bridge and leave the cluster with their own addresses. */

import { firewallAlone } from './firewall-alone.js';
import { steered } from './shared.js';

firewallAlone(steered);
