import { createFailureWait } from '../time/failure-wait.ts'

/** What listening to a channel takes of the app's client: one of a single server, of a cluster, or of sentinels. */
export interface ChannelClient {
  on(event: 'ready' | 'node-ready', listener: () => void): unknown
  off(event: 'ready' | 'node-ready', listener: () => void): unknown
}

/** The client of one server. */
interface ServerClient {
  readonly options?: { readonly socket?: object }
  duplicate(overrides: {
    socket: { reconnectStrategy: false; socketTimeout: number }
    clientSideCache: undefined
  }): Subscriber
}
interface ClusterClient {
  readonly masters: readonly object[]
  nodeClient(node: object): Promise<ServerClient>
}
interface SentinelClient {
  getMasterNode(): unknown
  /** Runs a function with the client of the primary. There is no other way to a connection with its settings. */
  _execute<T>(isReadonly: false, run: (primary: ServerClient) => Promise<T>): Promise<T>
}

/** A connection of our own. */
interface Subscriber {
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'connect', listener: () => void): unknown
  unref(): void
  connect(): Promise<unknown>
  ping(): Promise<unknown>
  subscribe(channel: string, listener: () => void): Promise<unknown>
  destroy(): void
}

/** The first wait for a new connection is up to twice that, in milliseconds. */
const FIRST_RETRY_MS = 50
const LONGEST_RETRY_MS = 2000
/** A connection that is silent for twice as long is closed: its other end may be gone without a word. */
const HEARTBEAT_MS = 10_000
/** When the app's client has a connection (again): a cluster's has one with each of its nodes. */
const READY = ['ready', 'node-ready'] as const

/** Whether it is a client that can be listened by. */
export function isChannelClient(client: object): boolean {
  return isCluster(client) || isSentinel(client) || ('duplicate' in client && 'unref' in client)
}

/**
 * Calls `changed` for each message on the channel, and each time that one may have been missed: when it begins to listen,
 * listens again, or the app's client is connected.
 *
 * @returns ends it
 */
export function watchChannel(client: ChannelClient, channel: string, changed: () => void): () => void {
  const waits = createFailureWait(FIRST_RETRY_MS, LONGEST_RETRY_MS)
  const stopping = new AbortController()
  let retry: NodeJS.Timeout | undefined

  function listening(): void {
    waits.succeeded()
    changed()
  }

  /** Never rejects: nobody waits for it. */
  async function begin(): Promise<void> {
    try {
      await listen(client, channel, { listening, heard: changed }, stopping.signal)
    } catch {
      // Whatever it was: it is tried again, and what was missed is fetched then.
    }
    // Not by the client's own strategy, whose timers would keep the process alive.
    if (!stopping.signal.aborted) retry = setTimeout(begin, waits.failed(undefined)).unref()
  }

  void begin()
  for (const event of READY) client.on(event, changed)
  return function stop() {
    clearTimeout(retry)
    for (const event of READY) client.off(event, changed)
    stopping.abort()
  }
}

/** Listens on a connection of its own. Rejects when that is lost, and resolves when the signal aborts. */
async function listen(
  client: ChannelClient,
  channel: string,
  report: { readonly listening: () => void; readonly heard: () => void },
  stopping: AbortSignal,
): Promise<void> {
  const server = await findServer(client)
  if (stopping.aborted) return
  // Silence is looked after here; and a cache that is shared would be emptied whenever this connection ends.
  const socket = { ...server.options?.socket, reconnectStrategy: false, socketTimeout: 0 } as const
  const own = server.duplicate({ socket, clientSideCache: undefined })
  let heartbeat: NodeJS.Timeout | undefined
  let isOver = false
  let isConnecting = true
  let stop = (): void => undefined

  /** A client that is destroyed while it connects forgets a connection, which then stays open. */
  function leave(): void {
    if (!isOver || isConnecting) return
    try {
      own.destroy()
    } catch {
      // Version 5 throws when the connection is gone already.
    }
  }
  function connected(): void {
    isConnecting = false
    leave()
  }

  await new Promise<void>((resolve, reject) => {
    async function subscribe(): Promise<void> {
      await own.connect().finally(connected)
      // A server that is still loading its data lets clients listen, but answers this with an error.
      await own.ping()
      await own.subscribe(channel, () => {
        if (!isOver) report.heard()
      })
      if (isOver) return
      heartbeat = keepAsking(own, reject)
      report.listening()
    }
    stop = resolve
    stopping.addEventListener('abort', stop)
    own.on('error', reject)
    own.on('connect', connected)
    own.unref()
    subscribe().catch(reject)
  }).finally(() => {
    isOver = true
    stopping.removeEventListener('abort', stop)
    clearInterval(heartbeat)
    leave()
  })
}

/**
 * The client of a server on which every message is heard. In a cluster that is any one: its nodes hand on to each other what
 * is published. With sentinels it is the primary, as it is now.
 */
async function findServer(client: object): Promise<ServerClient> {
  if (isSentinel(client)) return await client._execute(false, async (primary) => primary)
  if (!isCluster(client)) return client as ServerClient
  const { masters } = client
  const node = masters[Math.floor(Math.random() * masters.length)]
  if (node === undefined) throw new Error('the cluster is not known yet')
  return await client.nodeClient(node)
}

function isCluster(client: object): client is ClusterClient {
  return 'nodeClient' in client && typeof client.nodeClient === 'function' && 'masters' in client
}

function isSentinel(client: object): client is SentinelClient {
  return 'getMasterNode' in client && '_execute' in client && typeof client._execute === 'function'
}

function keepAsking(subscriber: Subscriber, silent: (reason: Error) => void): NodeJS.Timeout {
  let waiting = false
  const answered = () => {
    waiting = false
  }
  return setInterval(() => {
    if (waiting) return silent(new Error('no answer'))
    waiting = true
    subscriber.ping().then(answered, silent)
  }, HEARTBEAT_MS).unref()
}
