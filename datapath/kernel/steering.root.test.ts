/** The packet records on the kernel program. */

import { everyRecord } from '../every.records.js';
import { KernelStage } from './cast.js';

everyRecord(() => new KernelStage());
