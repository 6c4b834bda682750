// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject, ObjectMeta } from '../object.ts';
import type { NodeSelector } from './core-v1.ts';
import type { Condition } from './meta-v1.ts';

/** resource.v1.AllocatedDeviceStatus. */
export interface AllocatedDeviceStatus {
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  readonly conditions?: readonly Condition[];
  readonly data?: Readonly<Record<string, unknown>>;
  readonly networkData?: NetworkDeviceData;
  readonly shareID?: string;
}

/** resource.v1.AllocationResult. */
export interface AllocationResult {
  readonly devices?: DeviceAllocationResult;
  readonly nodeSelector?: NodeSelector;
  readonly allocationTimestamp?: string;
}

/** resource.v1.CELDeviceSelector. */
export interface CELDeviceSelector {
  readonly expression: string;
}

/** resource.v1.CapacityRequestPolicy. */
export interface CapacityRequestPolicy {
  readonly default?: string;
  readonly validValues?: readonly string[];
  readonly validRange?: CapacityRequestPolicyRange;
}

/** resource.v1.CapacityRequestPolicyRange. */
export interface CapacityRequestPolicyRange {
  readonly min: string;
  readonly max?: string;
  readonly step?: string;
}

/** resource.v1.CapacityRequirements. */
export interface CapacityRequirements {
  readonly requests?: Readonly<Record<string, string>>;
}

/** resource.v1.Counter. */
export interface Counter {
  readonly value: string;
}

/** resource.v1.CounterSet. */
export interface CounterSet {
  readonly name: string;
  readonly counters: Readonly<Record<string, Counter>>;
}

/** resource.v1.Device. */
export interface Device {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, DeviceAttribute>>;
  readonly capacity?: Readonly<Record<string, DeviceCapacity>>;
  readonly consumesCounters?: readonly DeviceCounterConsumption[];
  readonly nodeName?: string;
  readonly nodeSelector?: NodeSelector;
  readonly allNodes?: boolean;
  readonly taints?: readonly DeviceTaint[];
  readonly bindsToNode?: boolean;
  readonly bindingConditions?: readonly string[];
  readonly bindingFailureConditions?: readonly string[];
  readonly allowMultipleAllocations?: boolean;
  readonly nodeAllocatableResourceMappings?: Readonly<Record<string, NodeAllocatableResourceMapping>>;
}

/** resource.v1.DeviceAllocationConfiguration. */
export interface DeviceAllocationConfiguration {
  readonly source: string;
  readonly requests?: readonly string[];
  readonly opaque?: OpaqueDeviceConfiguration;
}

/** resource.v1.DeviceAllocationResult. */
export interface DeviceAllocationResult {
  readonly results?: readonly DeviceRequestAllocationResult[];
  readonly config?: readonly DeviceAllocationConfiguration[];
}

/** resource.v1.DeviceAttribute. */
export interface DeviceAttribute {
  readonly int?: number | bigint;
  readonly bool?: boolean;
  readonly string?: string;
  readonly version?: string;
  readonly ints?: readonly (number | bigint)[];
  readonly bools?: readonly boolean[];
  readonly strings?: readonly string[];
  readonly versions?: readonly string[];
}

/** resource.v1.DeviceCapacity. */
export interface DeviceCapacity {
  readonly value: string;
  readonly requestPolicy?: CapacityRequestPolicy;
}

/** resource.v1.DeviceClaim. */
export interface DeviceClaim {
  readonly requests?: readonly DeviceRequest[];
  readonly constraints?: readonly DeviceConstraint[];
  readonly config?: readonly DeviceClaimConfiguration[];
}

/** resource.v1.DeviceClaimConfiguration. */
export interface DeviceClaimConfiguration {
  readonly requests?: readonly string[];
  readonly opaque?: OpaqueDeviceConfiguration;
}

/** resource.v1.DeviceClass. */
export interface DeviceClass extends KubeObject {
  readonly spec: DeviceClassSpec;
}

/** resource.v1.DeviceClassConfiguration. */
export interface DeviceClassConfiguration {
  readonly opaque?: OpaqueDeviceConfiguration;
}

/** resource.v1.DeviceClassSpec. */
export interface DeviceClassSpec {
  readonly selectors?: readonly DeviceSelector[];
  readonly config?: readonly DeviceClassConfiguration[];
  readonly extendedResourceName?: string;
}

/** resource.v1.DeviceConstraint. */
export interface DeviceConstraint {
  readonly requests?: readonly string[];
  readonly matchAttribute?: string;
  readonly distinctAttribute?: string;
}

/** resource.v1.DeviceCounterConsumption. */
export interface DeviceCounterConsumption {
  readonly counterSet: string;
  readonly counters: Readonly<Record<string, Counter>>;
}

/** resource.v1.DeviceRequest. */
export interface DeviceRequest {
  readonly name: string;
  readonly exactly?: ExactDeviceRequest;
  readonly firstAvailable?: readonly DeviceSubRequest[];
}

/** resource.v1.DeviceRequestAllocationResult. */
export interface DeviceRequestAllocationResult {
  readonly request: string;
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  readonly adminAccess?: boolean;
  readonly tolerations?: readonly DeviceToleration[];
  readonly bindingConditions?: readonly string[];
  readonly bindingFailureConditions?: readonly string[];
  readonly shareID?: string;
  readonly consumedCapacity?: Readonly<Record<string, string>>;
}

/** resource.v1.DeviceSelector. */
export interface DeviceSelector {
  readonly cel?: CELDeviceSelector;
}

/** resource.v1.DeviceSubRequest. */
export interface DeviceSubRequest {
  readonly name: string;
  readonly deviceClassName: string;
  readonly selectors?: readonly DeviceSelector[];
  readonly allocationMode?: string;
  readonly count?: number | bigint;
  readonly tolerations?: readonly DeviceToleration[];
  readonly capacity?: CapacityRequirements;
}

/** resource.v1.DeviceTaint. */
export interface DeviceTaint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
  readonly timeAdded?: string;
}

/** resource.v1.DeviceToleration. */
export interface DeviceToleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
  readonly tolerationSeconds?: number | bigint;
}

/** resource.v1.ExactDeviceRequest. */
export interface ExactDeviceRequest {
  readonly deviceClassName: string;
  readonly selectors?: readonly DeviceSelector[];
  readonly allocationMode?: string;
  readonly count?: number | bigint;
  readonly adminAccess?: boolean;
  readonly tolerations?: readonly DeviceToleration[];
  readonly capacity?: CapacityRequirements;
}

/** resource.v1.NetworkDeviceData. */
export interface NetworkDeviceData {
  readonly interfaceName?: string;
  readonly ips?: readonly string[];
  readonly hardwareAddress?: string;
}

/** resource.v1.NodeAllocatableResourceMapping. */
export interface NodeAllocatableResourceMapping {
  readonly capacityKey?: string;
  readonly allocationMultiplier?: string;
}

/** resource.v1.OpaqueDeviceConfiguration. */
export interface OpaqueDeviceConfiguration {
  readonly driver: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** resource.v1.ResourceClaim. */
export interface ResourceClaim extends KubeObject {
  readonly spec: ResourceClaimSpec;
  readonly status: ResourceClaimStatus;
}

/** resource.v1.ResourceClaimConsumerReference. */
export interface ResourceClaimConsumerReference {
  readonly apiGroup?: string;
  readonly resource: string;
  readonly name: string;
  readonly uid: string;
}

/** resource.v1.ResourceClaimSpec. */
export interface ResourceClaimSpec {
  readonly devices?: DeviceClaim;
}

/** resource.v1.ResourceClaimStatus. */
export interface ResourceClaimStatus {
  readonly allocation?: AllocationResult;
  readonly reservedFor?: readonly ResourceClaimConsumerReference[];
  readonly devices?: readonly AllocatedDeviceStatus[];
}

/** resource.v1.ResourceClaimTemplate. */
export interface ResourceClaimTemplate extends KubeObject {
  readonly spec: ResourceClaimTemplateSpec;
}

/** resource.v1.ResourceClaimTemplateSpec. */
export interface ResourceClaimTemplateSpec {
  readonly metadata?: Partial<ObjectMeta>;
  readonly spec: ResourceClaimSpec;
}

/** resource.v1.ResourcePool. */
export interface ResourcePool {
  readonly name: string;
  readonly generation: number | bigint;
  readonly resourceSliceCount: number | bigint;
}

/** resource.v1.ResourceSlice. */
export interface ResourceSlice extends KubeObject {
  readonly spec: ResourceSliceSpec;
}

/** resource.v1.ResourceSliceSpec. */
export interface ResourceSliceSpec {
  readonly driver: string;
  readonly pool: ResourcePool;
  readonly nodeName?: string;
  readonly nodeSelector?: NodeSelector;
  readonly allNodes?: boolean;
  readonly devices?: readonly Device[];
  readonly perDeviceNodeSelection?: boolean;
  readonly sharedCounters?: readonly CounterSet[];
}
