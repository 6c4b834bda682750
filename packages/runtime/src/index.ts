export { UnknownCapabilityError } from './capabilities.ts';
export type {
  ContainerConfig,
  ContainerEvent,
  ContainerState,
  ContainerStats,
  ContainerStatus,
  DeviceSpec,
  Enforcement,
  ExecRequest,
  IdMapping,
  MountSpec,
  NamespaceMode,
  Resources,
  RootFilesystem,
  RuntimeService,
  SandboxConfig,
  SandboxNetwork,
  SandboxState,
  SandboxStatus,
  SeccompProfile,
  SecuritySpec,
  StreamSession,
} from './contract.ts';
export { ControlClosedError } from './control.ts';
export {
  ContainerExecError,
  ContainerStartError,
  NativeStepError,
  RuntimeHostError,
  RuntimeNotFoundError,
  RuntimeStateError,
  UserNamespaceError,
} from './errors.ts';
export { type NativeFailure, parseNativeFailure } from './native-failure.ts';
export { builtBinary, type NativeRuntime, type NativeRuntimeOptions, openNativeRuntime } from './native-runtime.ts';
export { signalNumber, UnknownSignalError } from './signal-number.ts';
export { SessionClosedError } from './stream-session.ts';
