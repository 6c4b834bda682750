/** A volume cannot be made now; the message is what the FailedMount event says after the volume's name. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
  readonly code = 'KUBELET_VOLUME';
  readonly volume: string;

  constructor(volume: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.volume = volume;
  }
}
