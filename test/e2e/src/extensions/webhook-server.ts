/**
 * What people write webhooks for, in one program: `/mutate` labels whatever it is shown and adds a sidecar to Pods, `/validate` refuses what is labelled
 * `forbidden` and warns of what is labelled `odd`, `/convert` turns Lamps of v1 (`spec.watts`) into those of v2 (`spec.power.watts`) and back.
 */
import { answer, bodyOf, serve } from './https-server.ts';

interface Reviewed {
  readonly uid: string;
  readonly name: string;
  readonly resource: { readonly resource: string };
  readonly object?: { readonly metadata: { readonly labels?: Readonly<Record<string, string>> } };
  readonly oldObject?: Reviewed['object'];
  readonly userInfo: { readonly username: string };
}

interface Lamp {
  readonly apiVersion: string;
  readonly spec?: { readonly watts?: number; readonly power?: { readonly watts?: number } };
}

type Outcome = Readonly<Record<string, unknown>>;

function mutate({ object, resource }: Reviewed): Outcome {
  const patch: object[] = object?.metadata.labels === undefined ? [{ op: 'add', path: '/metadata/labels', value: {} }] : [];
  patch.push({ op: 'add', path: '/metadata/labels/seen-by', value: 'webhook' });
  if (resource.resource === 'pods') {
    const image = process.env.SIDECAR_IMAGE;
    patch.push({ op: 'add', path: '/spec/containers/-', value: { name: 'side', image, command: ['sleep', 'infinity'] } });
  }
  return { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
}

function validate({ object, oldObject, userInfo }: Reviewed): Outcome {
  const labels = (object ?? oldObject)?.metadata.labels ?? {};
  if ('forbidden' in labels) return { allowed: false, status: { code: 403, message: `not even for ${userInfo.username}` } };
  return { allowed: true, ...('odd' in labels ? { warnings: ['this is odd'] } : {}) };
}

function convert(lamp: Lamp, desiredAPIVersion: string): Lamp {
  const watts = lamp.spec?.watts ?? lamp.spec?.power?.watts;
  return { ...lamp, apiVersion: desiredAPIVersion, spec: desiredAPIVersion.endsWith('/v1') ? { watts } : { power: { watts } } } as Lamp;
}

serve(async (request, response) => {
  const { apiVersion, kind, request: review } = await bodyOf(request);
  const reply = (outcome: Outcome): void => answer(response, 200, { apiVersion, kind, response: { uid: review.uid, ...outcome } });
  switch (new URL(request.url ?? '', 'https://here').pathname) {
    case '/mutate':
      return reply(mutate(review));
    case '/validate':
      return reply(validate(review));
    case '/convert':
      return reply({
        result: { status: 'Success' },
        convertedObjects: review.objects.map((lamp: Lamp) => convert(lamp, review.desiredAPIVersion)),
      });
    default:
      answer(response, 404, { message: `nothing at ${request.url}` });
  }
});
