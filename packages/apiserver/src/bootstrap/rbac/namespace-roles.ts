import type { JsonObject } from '@dure/api';
import { account, on, READ, role, roleBinding, user } from './objects.ts';

/** Roles within the system’s namespaces, and who holds them. */
export const namespaceRoles: readonly JsonObject[] = [
  role('kube-public', 'system:controller:bootstrap-signer', [
    on(READ, 'core', 'configmaps'),
    on('update', 'core', 'configmaps', 'cluster-info'),
    on('create patch update', 'core events.k8s.io', 'events'),
  ]),
  role('kube-system', 'extension-apiserver-authentication-reader', [on(READ, 'core', 'configmaps', 'extension-apiserver-authentication')]),
  role('kube-system', 'system::leader-locking-kube-controller-manager', [
    on('create get list update watch', 'coordination.k8s.io', 'leases'),
    on('create get list update watch', 'coordination.k8s.io', 'leasecandidates'),
  ]),
  role('kube-system', 'system::leader-locking-kube-scheduler', [
    on('create get list update watch', 'coordination.k8s.io', 'leases'),
    on('create get list update watch', 'coordination.k8s.io', 'leasecandidates'),
  ]),
  role('kube-system', 'system:controller:bootstrap-signer', [on(READ, 'core', 'secrets')]),
  role('kube-system', 'system:controller:cloud-provider', [on('create get list watch', 'core', 'configmaps')]),
  role('kube-system', 'system:controller:token-cleaner', [
    on('delete get list watch', 'core', 'secrets'),
    on('create patch update', 'core events.k8s.io', 'events'),
  ]),
  roleBinding(
    'kube-public',
    'system:controller:bootstrap-signer',
    'system:controller:bootstrap-signer',
    account('kube-system', 'bootstrap-signer'),
  ),
  roleBinding(
    'kube-system',
    'system::extension-apiserver-authentication-reader',
    'extension-apiserver-authentication-reader',
    user('system:kube-controller-manager'),
    user('system:kube-scheduler'),
  ),
  roleBinding(
    'kube-system',
    'system::leader-locking-kube-controller-manager',
    'system::leader-locking-kube-controller-manager',
    user('system:kube-controller-manager'),
    account('kube-system', 'kube-controller-manager'),
    account('kube-system', 'leader-election-controller'),
  ),
  roleBinding(
    'kube-system',
    'system::leader-locking-kube-scheduler',
    'system::leader-locking-kube-scheduler',
    user('system:kube-scheduler'),
    account('kube-system', 'kube-scheduler'),
  ),
  roleBinding(
    'kube-system',
    'system:controller:bootstrap-signer',
    'system:controller:bootstrap-signer',
    account('kube-system', 'bootstrap-signer'),
  ),
  roleBinding(
    'kube-system',
    'system:controller:cloud-provider',
    'system:controller:cloud-provider',
    account('kube-system', 'cloud-provider'),
  ),
  roleBinding('kube-system', 'system:controller:token-cleaner', 'system:controller:token-cleaner', account('kube-system', 'token-cleaner')),
];
