/** The packet records on the pipeline. */

import { steeringRecords } from '../steering.records.js';
import { UserspaceStage } from './cast.js';

steeringRecords(() => new UserspaceStage());
