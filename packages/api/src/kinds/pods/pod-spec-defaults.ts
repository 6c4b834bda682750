/** Defaults of everything that carries a Pod's spec: Pods, and the templates that make them. */
import type { JsonObject } from '../../definition.ts';
import { ensureObject, isJsonObject, numberAt, objectAt, objectsAt, own, setDefault, stringAt, trueAt } from '../../json-value.ts';

const GRACE_PERIOD_SECONDS = 30;
/** 0644: files of ConfigMaps, Secrets and the like. */
const FILE_MODE = 0o644;
const TOKEN_EXPIRATION_SECONDS = 3600;

/** Defaults of a Pod itself: those of its spec, and the requests that its limits imply. */
export function defaultPod(pod: JsonObject): void {
  const spec = objectAt(pod, 'spec');
  if (spec === undefined) return;
  defaultPodSpec(spec);
  setDefault(spec, 'enableServiceLinks', true);
  for (const container of [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')]) defaultRequests(container);
  const resources = objectAt(spec, 'resources');
  if (resources !== undefined) defaultPodRequests(resources, spec);
}

/** Defaults of a Pod's template. */
export function defaultPodTemplate(template: JsonObject | undefined): void {
  const spec = objectAt(template, 'spec');
  if (spec !== undefined) defaultPodSpec(spec);
}

/** The image's tag is `latest`, said or not, and no digest pins it. */
export function isLatestImage(image: string): boolean {
  if (image.includes('@')) return /:latest@/.test(image);
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === 'latest';
}

function defaultPodSpec(spec: JsonObject): void {
  setIfEmpty(spec, 'dnsPolicy', 'ClusterFirst');
  setIfEmpty(spec, 'restartPolicy', 'Always');
  setIfEmpty(spec, 'schedulerName', 'default-scheduler');
  setDefault(spec, 'terminationGracePeriodSeconds', GRACE_PERIOD_SECONDS);
  setDefault(spec, 'securityContext', {});
  mirrorServiceAccount(spec);
  const hostNetwork = trueAt(spec, 'hostNetwork');
  for (const container of [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')]) {
    defaultContainer(container);
    if (hostNetwork) defaultHostPorts(container);
  }
  for (const container of objectsAt(spec, 'ephemeralContainers')) defaultContainer(container);
  for (const volume of objectsAt(spec, 'volumes')) defaultVolume(volume);
}

/** `serviceAccount` is the old name of `serviceAccountName`; both are always there, with one value. */
function mirrorServiceAccount(spec: JsonObject): void {
  const name = stringAt(spec, 'serviceAccountName') || stringAt(spec, 'serviceAccount');
  if (name === '') return;
  spec.serviceAccountName = name;
  spec.serviceAccount = name;
}

function defaultContainer(container: JsonObject): void {
  setIfEmpty(container, 'terminationMessagePath', '/dev/termination-log');
  setIfEmpty(container, 'terminationMessagePolicy', 'File');
  setIfEmpty(container, 'imagePullPolicy', isLatestImage(stringAt(container, 'image')) ? 'Always' : 'IfNotPresent');
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) defaultProbe(objectAt(container, probe));
  defaultHttpGet(objectAt(container, 'lifecycle', 'postStart', 'httpGet'));
  defaultHttpGet(objectAt(container, 'lifecycle', 'preStop', 'httpGet'));
  for (const variable of objectsAt(container, 'env')) {
    const field = objectAt(variable, 'valueFrom', 'fieldRef');
    if (field !== undefined) setIfEmpty(field, 'apiVersion', 'v1');
    const file = objectAt(variable, 'valueFrom', 'fileKeyRef');
    if (file !== undefined) setDefault(file, 'optional', false);
  }
}

function defaultProbe(probe: JsonObject | undefined): void {
  if (probe === undefined) return;
  const amounts = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };
  for (const [field, amount] of Object.entries(amounts)) if ((numberAt(probe, field) ?? 0) === 0) probe[field] = amount;
  defaultHttpGet(objectAt(probe, 'httpGet'));
  const grpc = objectAt(probe, 'grpc');
  if (grpc !== undefined) setDefault(grpc, 'service', '');
}

function defaultHttpGet(action: JsonObject | undefined): void {
  if (action === undefined) return;
  setIfEmpty(action, 'path', '/');
  setIfEmpty(action, 'scheme', 'HTTP');
}

/** In the host's network a container's port is the host's. */
function defaultHostPorts(container: JsonObject): void {
  for (const port of objectsAt(container, 'ports')) {
    const containerPort = numberAt(port, 'containerPort') ?? 0;
    if ((numberAt(port, 'hostPort') ?? 0) === 0 && containerPort !== 0) port.hostPort = containerPort;
  }
}

function defaultRequests(container: JsonObject): void {
  const limits = objectAt(container, 'resources', 'limits');
  if (limits === undefined) return;
  const requests = ensureObject(ensureObject(container, 'resources'), 'requests');
  for (const [name, amount] of Object.entries(limits)) setDefault(requests, name, amount);
}

/** A Pod's own requests default to its limits where no container says otherwise. */
function defaultPodRequests(resources: JsonObject, spec: JsonObject): void {
  const limits = objectAt(resources, 'limits');
  if (limits === undefined) return;
  const requests = ensureObject(resources, 'requests');
  const containers = [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')];
  for (const [name, amount] of Object.entries(limits)) {
    const asked = containers.some((container) => own(objectAt(container, 'resources', 'requests') ?? {}, name) !== undefined);
    if (!asked) setDefault(requests, name, amount);
  }
  if (Object.keys(requests).length === 0) delete resources.requests;
}

function defaultVolume(volume: JsonObject): void {
  if (Object.keys(volume).every((key) => key === 'name')) volume.emptyDir = {};
  for (const source of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    const files = objectAt(volume, source);
    if (files !== undefined) setDefault(files, 'defaultMode', FILE_MODE);
  }
  const hostPath = objectAt(volume, 'hostPath');
  if (hostPath !== undefined) setDefault(hostPath, 'type', '');
  const image = objectAt(volume, 'image');
  if (image !== undefined) setIfEmpty(image, 'pullPolicy', isLatestImage(stringAt(image, 'reference')) ? 'Always' : 'IfNotPresent');
  defaultDownward(objectAt(volume, 'downwardAPI'));
  for (const source of objectsAt(volume, 'projected', 'sources')) {
    defaultDownward(objectAt(source, 'downwardAPI'));
    const token = objectAt(source, 'serviceAccountToken');
    if (token !== undefined) setDefault(token, 'expirationSeconds', TOKEN_EXPIRATION_SECONDS);
  }
  const claim = objectAt(volume, 'ephemeral', 'volumeClaimTemplate', 'spec');
  if (claim !== undefined) setDefault(claim, 'volumeMode', 'Filesystem');
}

function defaultDownward(source: JsonObject | undefined): void {
  for (const item of objectsAt(source, 'items')) {
    const field = own(item, 'fieldRef');
    if (isJsonObject(field)) setIfEmpty(field, 'apiVersion', 'v1');
  }
}

/** Sets a string that is absent or empty. */
export function setIfEmpty(object: JsonObject, key: string, value: string): void {
  if (stringAt(object, key) === '') object[key] = value;
}
