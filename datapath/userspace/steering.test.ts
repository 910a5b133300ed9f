/** The packet records on the pipeline. */

import { steeringRecords } from '../steering.records.js';
import { tcpRecords } from '../tcp.records.js';
import { UserspaceStage } from './cast.js';

steeringRecords(() => new UserspaceStage());
tcpRecords(() => new UserspaceStage());
