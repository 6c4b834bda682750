export { FakeImages, fakeImage } from './fake-images.ts';
export { FakeRuntime } from './fake-runtime.ts';
export { FAKE_NODE, FakeMounter, NodeFixture } from './node-fixture.ts';
