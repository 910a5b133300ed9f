/** The codecs and the kernel program, by BPF_PROG_TEST_RUN. */

import { KernelStage } from '../datapath/kernel/cast.js';
import { wireRecords } from './wire.records.js';

wireRecords(() => new KernelStage());
