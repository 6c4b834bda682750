export { admitAll, allowKnown, certificateNames } from './open-parts.ts';
export { startTestServer, type TestServer } from './test-server.ts';
