export * from './record.js';
export * from './leaks.js';
export type { RunEvent, StampedEvent } from './event.js';
export { createEventBus, type EventBus, type EventBusOptions, type Reporter } from './bus.js';
export { createRecorder, type Recorder, type RecorderOptions } from './fold.js';
export { isRealNixos } from './guest.js';
export { exitCodeOf } from './exit-code.js';
export { recordJsonSchema } from './json-schema.js';
export { linkLatest, readRecord, RECORD_FILE, writeAtomically, writeRecord } from './write.js';
