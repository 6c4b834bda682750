export { type OidcProvider, startOidcProvider } from './oidc-provider.ts';
export { admitAll, allowKnown, certificateNames } from './open-parts.ts';
export { type ReviewServer, startReviewServer } from './review-server.ts';
export { database, databaseDefinition, plainDefinition } from './sample-definitions.ts';
export { type Answer, type TestClient, testClient } from './test-client.ts';
export { startTestServer, type TestServer } from './test-server.ts';
export { patchResponse, startTestWebhook, type TestWebhook } from './test-webhook.ts';
