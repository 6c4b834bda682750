export { FakeImages, fakeImage } from './fake-images.ts';
export { FakeRuntime } from './fake-runtime.ts';
export { FAKE_NODE, type WiringOptions, wireKubelet } from './kubelet-wiring.ts';
export { FakeMounter, NodeFixture } from './node-fixture.ts';
