export type { Client, DeleteQuery, ListQuery, ObjectKey, Patch, WatchQuery, WriteQuery } from './client.ts';
export type { Transport, TransportRequest, TransportResponse } from './transport.ts';
