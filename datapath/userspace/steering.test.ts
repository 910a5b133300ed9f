/** The packet records on the pipeline. */

import { affinityRecords } from '../affinity.records.js';
import { chainRecords } from '../chains.records.js';
import { replyRecords } from '../reply.records.js';
import { selectionRecords } from '../selection.records.js';
import { steeringRecords } from '../steering.records.js';
import { tcpRecords } from '../tcp.records.js';
import { visitRecords } from '../visits.records.js';
import { UserspaceStage } from './cast.js';

steeringRecords(() => new UserspaceStage());
tcpRecords(() => new UserspaceStage());
replyRecords(() => new UserspaceStage());
affinityRecords(() => new UserspaceStage());
selectionRecords(() => new UserspaceStage());
visitRecords(() => new UserspaceStage());
chainRecords(() => new UserspaceStage());
