export { abortable, aborted, isAbort } from './abort.ts';
export { type Backoff, retryDelayMs } from './backoff.ts';
export { BoundedQueue, QueueFullError } from './bounded-queue.ts';
export { type Clock, rfc3339Micros, rfc3339Seconds, systemClock } from './clock.ts';
export { errnoCode, messageOf } from './errno.ts';
export { createLogger, type LogFields, type Logger, type LoggerOptions, type LogLevel, silentLogger } from './logger.ts';
export { type Random, seededRandom, systemRandom, uuid } from './random.ts';
export { Scope } from './scope.ts';
