import { badRequest } from '@dure/api';
import { duplicateKeys, JsonTextError, parseJson } from './json-text.ts';
import { bodyFormat } from './media-type.ts';
import { type ProtobufCodec, ProtobufError } from './protobuf-codec.ts';
import { parseYaml, repeatedYamlKey, YamlTextError } from './yaml-text.ts';

/** A request body as plain data. */
export interface DecodedBody {
  readonly value: unknown;
  /** Paths of keys that the text held twice; the later one counts. */
  readonly duplicates: readonly string[];
  /** What the decoder says of a key that YAML text held twice. */
  readonly repeatedKey?: string;
}

/** @throws {StatusError} UnsupportedMediaType, BadRequest. */
export function decodeBody(bytes: Uint8Array, contentType: string | undefined, protobuf: ProtobufCodec): DecodedBody {
  const format = bodyFormat(contentType);
  try {
    if (format === 'protobuf') return { value: protobuf.decode(bytes), duplicates: [] };
    const text = new TextDecoder('utf-8').decode(bytes);
    if (format === 'yaml') {
      const value = parseYaml(text);
      const repeatedKey = repeatedYamlKey(text);
      return { value, duplicates: [], ...(repeatedKey === undefined ? {} : { repeatedKey }) };
    }
    const value = parseJson(text);
    return { value, duplicates: duplicateKeys(text) };
  } catch (error) {
    if (error instanceof JsonTextError) throw badRequest(`couldn't get version/kind; json parse error: ${error.message}`);
    if (error instanceof YamlTextError) throw badRequest(`couldn't get version/kind; yaml parse error: ${error.message}`);
    if (error instanceof ProtobufError) throw badRequest(`unable to decode protobuf body: ${error.message}`);
    throw error;
  }
}
