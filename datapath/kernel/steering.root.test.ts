/** The packet records on the kernel program. */

import { replyRecords } from '../reply.records.js';
import { steeringRecords } from '../steering.records.js';
import { tcpRecords } from '../tcp.records.js';
import { KernelStage } from './cast.js';

steeringRecords(() => new KernelStage());
tcpRecords(() => new KernelStage());
replyRecords(() => new KernelStage());
