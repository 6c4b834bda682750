import type { KindRegistry, SchemaBook } from '@dure/api';
import type { Clock } from '@dure/foundation';
import type { Admission } from '../contract/admission.ts';
import type { Authenticator } from '../contract/authenticator.ts';
import type { Authorizer } from '../contract/authorizer.ts';
import type { EvictionGuard } from '../contract/eviction-guard.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { ServiceAccountTokens } from '../contract/service-account-tokens.ts';
import type { Reader } from '../registry/reader.ts';
import type { Writer } from '../registry/writer.ts';
import type { ResourceRouter } from '../request/resource-handler.ts';

/** What the handlers of subresources and of resources that are not stored stand on. */
export interface SubresourceDeps {
  readonly kinds: KindRegistry;
  readonly reader: Reader;
  readonly writer: Writer;
  readonly router: ResourceRouter;
  readonly reads: ObjectReader;
  readonly book: SchemaBook;
  readonly clock: Clock;
  readonly admission: Admission;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly tokens: ServiceAccountTokens | undefined;
  readonly eviction: EvictionGuard | undefined;
}
