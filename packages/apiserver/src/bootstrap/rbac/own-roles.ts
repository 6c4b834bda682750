import type { JsonObject } from '@dure/api';
import { clusterRoleBinding, group, on, role, roleBinding, user } from './objects.ts';

/** What joining a node needs beyond upstream's roles. */
export const ownRoles: readonly JsonObject[] = [
  // What a join token needs: to ask for a certificate, and to have a first one approved.
  clusterRoleBinding('dure:node-bootstrapper', 'system:node-bootstrapper', group('system:bootstrappers')),
  clusterRoleBinding(
    'dure:node-autoapprove-bootstrap',
    'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
    group('system:bootstrappers'),
  ),
  clusterRoleBinding(
    'dure:node-autoapprove-renewal',
    'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    group('system:nodes'),
  ),
  role('kube-public', 'dure:cluster-info', [on('get', 'core', 'configmaps', 'cluster-info')]),
  roleBinding(
    'kube-public',
    'dure:cluster-info',
    'dure:cluster-info',
    user('system:anonymous'),
    group('system:unauthenticated'),
    group('system:authenticated'),
  ),
];
