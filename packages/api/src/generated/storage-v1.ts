// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';
import type { PersistentVolumeSpec, TopologySelectorTerm } from './core-v1.ts';
import type { LabelSelector } from './meta-v1.ts';

/** storage.v1.CSIDriver. */
export interface CSIDriver extends KubeObject {
  readonly spec: CSIDriverSpec;
}

/** storage.v1.CSIDriverSpec. */
export interface CSIDriverSpec {
  readonly attachRequired?: boolean;
  readonly podInfoOnMount?: boolean;
  readonly volumeLifecycleModes?: readonly string[];
  readonly storageCapacity?: boolean;
  readonly fsGroupPolicy?: string;
  readonly tokenRequests?: readonly TokenRequest[];
  readonly requiresRepublish?: boolean;
  readonly seLinuxMount?: boolean;
  readonly nodeAllocatableUpdatePeriodSeconds?: number | bigint;
  readonly serviceAccountTokenInSecrets?: boolean;
  readonly preventPodSchedulingIfMissing?: boolean;
}

/** storage.v1.CSINode. */
export interface CSINode extends KubeObject {
  readonly spec: CSINodeSpec;
}

/** storage.v1.CSINodeDriver. */
export interface CSINodeDriver {
  readonly name: string;
  readonly nodeID: string;
  readonly topologyKeys?: readonly string[];
  readonly allocatable?: VolumeNodeResources;
}

/** storage.v1.CSINodeSpec. */
export interface CSINodeSpec {
  readonly drivers: readonly CSINodeDriver[];
}

/** storage.v1.CSIStorageCapacity. */
export interface CSIStorageCapacity extends KubeObject {
  readonly nodeTopology?: LabelSelector;
  readonly storageClassName: string;
  readonly capacity?: string;
  readonly maximumVolumeSize?: string;
}

/** storage.v1.StorageClass. */
export interface StorageClass extends KubeObject {
  readonly provisioner: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly reclaimPolicy?: 'Recycle' | 'Delete' | 'Retain';
  readonly mountOptions?: readonly string[];
  readonly allowVolumeExpansion?: boolean;
  readonly volumeBindingMode?: 'Immediate' | 'WaitForFirstConsumer';
  readonly allowedTopologies?: readonly TopologySelectorTerm[];
}

/** storage.v1.TokenRequest. */
export interface TokenRequest {
  readonly audience: string;
  readonly expirationSeconds?: number | bigint;
}

/** storage.v1.VolumeAttachment. */
export interface VolumeAttachment extends KubeObject {
  readonly spec: VolumeAttachmentSpec;
  readonly status: VolumeAttachmentStatus;
}

/** storage.v1.VolumeAttachmentSource. */
export interface VolumeAttachmentSource {
  readonly persistentVolumeName?: string;
  readonly inlineVolumeSpec?: PersistentVolumeSpec;
}

/** storage.v1.VolumeAttachmentSpec. */
export interface VolumeAttachmentSpec {
  readonly attacher: string;
  readonly source: VolumeAttachmentSource;
  readonly nodeName: string;
}

/** storage.v1.VolumeAttachmentStatus. */
export interface VolumeAttachmentStatus {
  readonly attached: boolean;
  readonly attachmentMetadata?: Readonly<Record<string, string>>;
  readonly attachError?: VolumeError;
  readonly detachError?: VolumeError;
}

/** storage.v1.VolumeAttributesClass. */
export interface VolumeAttributesClass extends KubeObject {
  readonly driverName: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** storage.v1.VolumeError. */
export interface VolumeError {
  readonly time?: string;
  readonly message?: string;
  readonly errorCode?: number;
}

/** storage.v1.VolumeNodeResources. */
export interface VolumeNodeResources {
  readonly count?: number;
}
