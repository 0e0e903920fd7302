import type { Socket } from 'node:net'
import type { Agent, buildConnector, Dispatcher } from 'undici'

/** Sends requests to a place that the app has configured. */
export interface HttpClient {
  /** The only deadline is the signal's. */
  request(uri: string, options: HttpRequest): Promise<Dispatcher.ResponseData>
  /** Ends what is under way, unless the dispatcher is the app's. */
  close(): Promise<void>
}

/** What is asked for. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST'
  readonly headers: Record<string, string>
  readonly body: string | null
  readonly signal: AbortSignal
}

/**
 * Makes a client.
 *
 * @param given the app's dispatcher; without one, an agent whose sockets never keep the process alive
 */
export function createHttpClient(given: Dispatcher | undefined): HttpClient {
  let own: Agent | undefined
  let closed = false
  return Object.freeze({
    async request(uri, options) {
      // Not before it is needed: it takes as long to load as all the rest.
      const undici = await import('undici')
      if (given === undefined) {
        own ??= createUnheldAgent(undici)
        // Closed while it was loaded, or before: what is asked for fails, as what is under way does.
        if (closed) void own.destroy()
      }
      const dispatcher = given ?? (own as Agent)
      return await undici.request(uri, { ...options, dispatcher, headersTimeout: 0, bodyTimeout: 0 })
    },
    async close() {
      closed = true
      await own?.destroy()
    },
  } satisfies HttpClient)
}

/** Makes an agent whose sockets never keep the process alive, whatever they are doing. */
function createUnheldAgent(undici: { Agent: typeof Agent; buildConnector: typeof buildConnector }): Agent {
  const connect = undici.buildConnector({})
  return new undici.Agent({
    connect(options, callback) {
      const socket = connect(options, callback) as unknown as Socket | undefined
      if (socket === undefined) return
      socket.unref()
      // Where a name has several addresses, each attempt has a handle of its own.
      socket.on('connectionAttempt', () => socket.unref())
      // undici holds the process while a request is under way; a refresh is no reason to stay.
      socket.ref = () => socket
    },
  })
}
