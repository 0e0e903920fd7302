/** What came of publishing: a version or, where two persons are needed, something that waits for the second. */
export type Published = { readonly version: number } | { readonly proposal: number }

export function describePublished(published: Published): string {
  return 'version' in published
    ? `Version ${published.version} is live`
    : 'Proposed. It goes live when another person approves it'
}
