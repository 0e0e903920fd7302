/** The address for messages: user, password and query may be secrets. */
export function withoutSecrets(uri: string): string {
  const { origin, pathname } = new URL(uri)
  return origin + pathname
}
