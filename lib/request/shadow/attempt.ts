/** Plugins leave all kinds of things behind: circles, proxies, objects without a text of their own. */
export function attempt<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch {
    return undefined
  }
}
