import type { Clock } from '@dure/foundation';
import type { Client, ServiceError } from '@grpc/grpc-js';
import {
  DECRYPT_REQUEST,
  DECRYPT_RESPONSE,
  type DecryptRequest,
  type DecryptResponse,
  ENCRYPT_REQUEST,
  ENCRYPT_RESPONSE,
  type EncryptRequest,
  type EncryptResponse,
  type KmsStatus,
  type Message,
  STATUS_REQUEST,
  STATUS_RESPONSE,
} from './kms-messages.ts';

const SERVICE = '/v2.KeyManagementService';

/** A KMS plugin on this machine. Each call may fail with an `Error` that says why. */
export interface KmsClient extends AsyncDisposable {
  status(): Promise<KmsStatus>;
  encrypt(request: EncryptRequest): Promise<EncryptResponse>;
  decrypt(request: DecryptRequest): Promise<DecryptResponse>;
}

/** @param endpoint `unix:///path`. Connects when it is first used, and again by itself. @param timeoutMs Of one call. */
export function kmsClient(endpoint: string, timeoutMs: number, clock: Clock): KmsClient {
  let opening: Promise<Client> | undefined;
  // Loaded only where it is used: gRPC is large.
  const open = async (): Promise<Client> => {
    const { Client, credentials } = await import('@grpc/grpc-js');
    return new Client(endpoint, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0, 'grpc.max_reconnect_backoff_ms': 1000 });
  };
  const call = async <Q, A>(method: string, request: Q, question: Message<Q>, answer: Message<A>): Promise<A> => {
    opening ??= open();
    const client = await opening;
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, value?: A): void => {
        if (error === null && value !== undefined) resolve(value);
        else reject(new Error(`KMS plugin at ${endpoint}: ${method}: ${error?.details ?? 'no answer'}`, { cause: error }));
      };
      client.makeUnaryRequest(
        `${SERVICE}/${method}`,
        (value: Q) => Buffer.from(question.encode(value)),
        (bytes: Buffer) => answer.decode(bytes),
        request,
        { deadline: new Date(clock.now() + timeoutMs) },
        done,
      );
    });
  };
  return {
    status: () => call('Status', {}, STATUS_REQUEST, STATUS_RESPONSE),
    encrypt: (request) => call('Encrypt', request, ENCRYPT_REQUEST, ENCRYPT_RESPONSE),
    decrypt: (request) => call('Decrypt', request, DECRYPT_REQUEST, DECRYPT_RESPONSE),
    async [Symbol.asyncDispose]() {
      (await opening)?.close();
    },
  };
}
