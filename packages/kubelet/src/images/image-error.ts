/** Upstream's waiting reasons for images. */
export type ImageFailureReason = 'ErrImagePull' | 'ImagePullBackOff' | 'ErrImageNeverPull' | 'InvalidImageName' | 'ImageInspectError';

/** A container's image is not at hand. `message` is what the status shows. */
export class ImageFailure extends Error {
  override readonly name = 'ImageFailure';
  readonly code = 'KUBELET_IMAGE';
  readonly reason: ImageFailureReason;
  /** When another try makes sense, wall time; `undefined`: not before something changes. */
  readonly retryAtMs: number | undefined;

  constructor(reason: ImageFailureReason, message: string, retryAtMs?: number, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.reason = reason;
    this.retryAtMs = retryAtMs;
  }
}
