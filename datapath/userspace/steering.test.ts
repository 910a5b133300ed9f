/** The packet records on the pipeline. */

import { everyRecord } from '../every.records.js';
import { UserspaceStage } from './cast.js';

everyRecord(() => new UserspaceStage());
