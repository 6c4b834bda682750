/** What one probe attempt found. `error`: the probe itself could not be made; it counts as neither. */
export interface ProbeResult {
  readonly outcome: 'success' | 'failure' | 'error';
  /** For the Unhealthy event. */
  readonly message: string;
}
