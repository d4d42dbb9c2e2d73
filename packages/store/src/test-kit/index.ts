// The conformance suites of a store, for any implementation and any test runner, and a store that
// fails on purpose. An entry of its own, so that nothing of it is loaded at run time.

export { blockStoreConformance } from "./block-store.js";
export type { ConformanceCase, StoreFactory } from "./block-store.js";
export { eventStoreConformance, sampleEvent } from "./events.js";
export { makeFaulty } from "./faults.js";
export type { FaultyStore } from "./faults.js";
export { metadataStoreConformance } from "./metadata-store.js";
export { makeOlder } from "./older.js";
export { sampleSnapshot, sampleWorkspace } from "./samples.js";
export { blockOf, idOf, idsOf, kitCodec, pageOf } from "./objects.js";
export { collectAll, commitTree, storeConformance } from "./store.js";
