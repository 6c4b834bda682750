import { RunningProcess } from '@dure/test-support';

/** The processor of the program that is measured; nothing else is put there. */
export const MEASURED_PROCESSOR = '0';
/** Where load generators and backends run: every processor but the measured one, or that one if it is alone. */
export const OTHER_PROCESSORS = '1';

/** Starts a program on some processors. It keeps the process number it is started with. */
export function startPinned(processors: string, argv: readonly string[]): Promise<RunningProcess> {
  return RunningProcess.start('taskset', ['-c', processors, ...argv]);
}
