/** The packet records on the kernel program. */

import { affinityRecords } from '../affinity.records.js';
import { chainRecords } from '../chains.records.js';
import { replyRecords } from '../reply.records.js';
import { selectionRecords } from '../selection.records.js';
import { steeringRecords } from '../steering.records.js';
import { tcpRecords } from '../tcp.records.js';
import { visitRecords } from '../visits.records.js';
import { KernelStage } from './cast.js';

steeringRecords(() => new KernelStage());
tcpRecords(() => new KernelStage());
replyRecords(() => new KernelStage());
affinityRecords(() => new KernelStage());
selectionRecords(() => new KernelStage());
visitRecords(() => new KernelStage());
chainRecords(() => new KernelStage());
