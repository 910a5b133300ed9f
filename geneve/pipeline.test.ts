/** The codecs and the pipeline. */

import { UserspaceStage } from '../datapath/userspace/cast.js';
import { wireRecords } from './wire.records.js';

wireRecords(() => new UserspaceStage());
