/** How the API says where a webhook is and what it takes: the same for admission and for conversion. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, invalid, required } from '../../field-error.ts';
import { isJsonObject, numberAt, own } from '../../json-value.ts';
import { checkDns1035Label, checkDns1123Subdomain, checkPortNumber } from '../../name-syntax.ts';
import { checked, requiredText } from '../rules.ts';

const REVIEW_VERSIONS = ['v1', 'v1beta1'];
const URL_FORM = '; desired format: https://host[/path]';

/** The forms in which a webhook takes reviews: at least one that the server speaks. */
export function validateReviewVersions(versions: readonly string[], path: string): FieldError[] {
  if (versions.length === 0) return [required(path, `must specify one of ${REVIEW_VERSIONS.join(', ')}`)];
  const seen = new Set<string>();
  const errors = versions.flatMap((version, index) => {
    if (seen.has(version)) return [invalid(`${path}[${index}]`, version, 'duplicate version')];
    seen.add(version);
    return checked(`${path}[${index}]`, version, checkDns1035Label);
  });
  if (!versions.some((version) => REVIEW_VERSIONS.includes(version)))
    errors.push(invalid(path, versions, `must include at least one of ${REVIEW_VERSIONS.join(', ')}`));
  return errors;
}

/** A URL or a Service, not both. */
export function validateClientConfig(config: JsonObject, path: string): FieldError[] {
  const url = own(config, 'url');
  const service = own(config, 'service');
  if ((typeof url === 'string') === isJsonObject(service)) return [required(path, 'exactly one of url or service is required')];
  if (typeof url === 'string') return validateWebhookUrl(url, `${path}.url`);
  return isJsonObject(service) ? validateWebhookService(service, `${path}.service`) : [];
}

function validateWebhookUrl(text: string, path: string): FieldError[] {
  let url: URL;
  try {
    url = new URL(text);
  } catch (error) {
    return [required(path, `url must be a valid URL: ${(error as Error).message}${URL_FORM}`)];
  }
  const errors: FieldError[] = [];
  const scheme = url.protocol.replace(':', '');
  if (scheme !== 'https') errors.push(invalid(path, scheme, `'https' is the only allowed URL scheme${URL_FORM}`));
  if (url.host === '') errors.push(invalid(path, url.host, `host must be specified${URL_FORM}`));
  if (url.username !== '') errors.push(invalid(path, url.username, 'user information is not permitted in the URL'));
  if (url.hash !== '') errors.push(invalid(path, url.hash.slice(1), 'fragments are not permitted in the URL'));
  if (url.search !== '') errors.push(invalid(path, url.search.slice(1), 'query parameters are not permitted in the URL'));
  return errors;
}

function validateWebhookService(service: JsonObject, path: string): FieldError[] {
  const errors = ['name', 'namespace'].flatMap((field) => requiredText(service, field, path));
  const port = numberAt(service, 'port');
  if (port !== undefined && checkPortNumber(port).length > 0)
    errors.push(invalid(`${path}.port`, port, `port is not valid: ${checkPortNumber(port).join(',')}`));
  const webPath = own(service, 'path');
  if (typeof webPath !== 'string' || webPath === '' || webPath === '/') return errors;
  if (!webPath.startsWith('/')) return [...errors, invalid(`${path}.path`, webPath, "must start with a '/'")];
  const steps = webPath.slice(1).replace(/\/$/, '').split('/');
  for (const [index, step] of steps.entries()) {
    if (step === '') errors.push(invalid(`${path}.path`, webPath, `segment[${index}] may not be empty`));
    else {
      for (const fault of checkDns1123Subdomain(step)) errors.push(invalid(`${path}.path`, webPath, `segment[${index}]: ${fault}`));
    }
  }
  return errors;
}
