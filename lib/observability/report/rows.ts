/**
 * Takes rows for as long as their JSON fits: a report is never larger than 64 KiB. What its lists leave of that is more
 * than all else can take.
 */
export function fill<T, R>(
  items: readonly T[],
  max_bytes: number,
  describe: (item: T) => R,
): { rows: R[]; left_out: number } {
  const rows: R[] = []
  let bytes = 0
  for (const item of items) {
    const row = describe(item)
    bytes += Buffer.byteLength(JSON.stringify(row)) + 1
    if (bytes > max_bytes) break
    rows.push(row)
  }
  return { rows, left_out: items.length - rows.length }
}
