export { type FakeCall, FakeClient, type FakeClientOptions, type FakeHook } from './fake-client.ts';
export { deepFreeze } from './fake-collection.ts';
