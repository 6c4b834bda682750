export { describeStore, type StoreFixture, type StoreSuiteOptions } from './store-suite.ts';
