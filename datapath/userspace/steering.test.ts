/** The packet records on the pipeline. */

import { replyRecords } from '../reply.records.js';
import { steeringRecords } from '../steering.records.js';
import { tcpRecords } from '../tcp.records.js';
import { UserspaceStage } from './cast.js';

steeringRecords(() => new UserspaceStage());
tcpRecords(() => new UserspaceStage());
replyRecords(() => new UserspaceStage());
