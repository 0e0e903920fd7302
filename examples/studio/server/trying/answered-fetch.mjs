// The `fetch` of code that is tried: nothing goes out; what the author has filled in comes back.

/**
 * @param {readonly { url: string, method?: string, status?: number, headers?: Record<string, string>, body?: string }[]} answers
 * @returns {typeof globalThis.fetch}
 */
export function createFetch(answers) {
  return async function fetch(input, init) {
    const request = new Request(input, init)
    request.signal.throwIfAborted()
    const found = answers.find(
      ({ url, method }) => new URL(url).href === request.url && (method ?? request.method) === request.method,
    )
    if (found === undefined) {
      const why = `nothing is sent from here, and there is no answer for ${request.method} ${request.url}`
      throw new TypeError('fetch failed', { cause: new Error(why) })
    }
    const { status = 200, headers = {}, body = '' } = found
    const response = new Response([101, 204, 205, 304].includes(status) ? null : body, { status, headers })
    Object.defineProperty(response, 'url', { value: request.url })
    return response
  }
}
