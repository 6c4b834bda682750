/**
 * Runs `count` calls of `start` in batches of 1, 2, 4, ... and stops after a batch in which one failed: a hundred Pods that a quota
 * refuses cost one request, not a hundred. @returns How many succeeded, and the first failure.
 */
export async function slowStart(
  count: number,
  start: () => Promise<void>,
): Promise<{ readonly succeeded: number; readonly failure: unknown }> {
  let succeeded = 0;
  for (let batch = 1; succeeded < count; batch *= 2) {
    const results = await Promise.allSettled(Array.from({ length: Math.min(batch, count - succeeded) }, start));
    succeeded += results.filter(({ status }) => status === 'fulfilled').length;
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) return { succeeded, failure: failed.reason };
  }
  return { succeeded, failure: undefined };
}
