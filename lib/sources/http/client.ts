import type { Agent, AgentOptions, IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { urlToHttpOptions } from 'node:url'
import type { Dispatcher } from 'undici'

/** Sends requests to a place that the app has configured. */
export interface HttpClient {
  /** The only deadline is the signal's, which ends the reading of the answer, too. */
  request(uri: string, asked: HttpRequest): Promise<HttpAnswer>
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

/** An answer whose body is still to be read or left. */
export interface HttpAnswer {
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
}

/** How long a connection waits for the next request: less than the five seconds after which servers of Node end it. */
const IDLE_MS = 4000

/**
 * Makes a client.
 *
 * @param given the app's dispatcher; without one, requests go by Node's own client, over sockets that never keep the process
 * alive: undici takes as long to load as all of dynacode, and more memory than a Koa app
 */
export function createHttpClient(given: Dispatcher | undefined): HttpClient {
  return given === undefined ? createOwnClient() : createClientOf(given)
}

function createClientOf(dispatcher: Dispatcher): HttpClient {
  return Object.freeze({
    async request(uri, asked) {
      const { request } = await import('undici')
      return await request(uri, { ...asked, dispatcher, headersTimeout: 0, bodyTimeout: 0 })
    },
    async close() {},
  } satisfies HttpClient)
}

function createOwnClient(): HttpClient {
  const agents = new Map<string, Agent>()
  let closed = false
  async function ask(uri: string, asked: HttpRequest): Promise<HttpAnswer> {
    const { method, headers, body, signal } = asked
    // User and password of an address are not sent: plugin_api_headers are for that.
    const { auth, ...where } = urlToHttpOptions(new URL(uri))
    const protocol = where.protocol as string
    const http = await (protocol === 'https:' ? import('node:https') : import('node:http'))
    if (closed) throw new Error('the client was closed')
    const agent = agents.get(protocol) ?? createUnheldAgent(http.Agent)
    agents.set(protocol, agent)
    return await new Promise<HttpAnswer>((resolve, reject) => {
      const request = http.request({ ...where, method, headers, signal, agent })
      let answered = false
      request.on('error', (error: NodeJS.ErrnoException) => {
        // The server ended the connection while nothing was asked: that says nothing of what is asked now.
        const stale = request.reusedSocket && error.code === 'ECONNRESET' && method === 'GET' && !answered
        if (stale) ask(uri, asked).then(resolve, reject)
        else reject(error)
      })
      request.on('response', (answer) => {
        answered = true
        resolve({ statusCode: answer.statusCode as number, headers: answer.headers, body: answer })
      })
      request.end(body ?? undefined)
    })
  }
  return Object.freeze({
    request: ask,
    async close() {
      closed = true
      for (const agent of agents.values()) agent.destroy()
    },
  } satisfies HttpClient)
}

/** Makes an agent whose sockets never keep the process alive, whatever they are doing. */
function createUnheldAgent(Agents: new (options: AgentOptions) => Agent): Agent {
  const agent = new Agents({ keepAlive: true, timeout: IDLE_MS }) as Agent & { createConnection: Connect }
  const connect = agent.createConnection
  agent.createConnection = (...to) => {
    const socket = connect.apply(agent, to)
    socket.unref()
    // Where a name has several addresses, each attempt has a handle of its own.
    socket.on('connectionAttempt', () => socket.unref())
    // Node holds the process while a request is under way; a refresh is no reason to stay.
    socket.ref = () => socket
    return socket
  }
  return agent
}

type Connect = (...to: unknown[]) => Socket
