/** What listening to a channel takes of the app's client. */
export interface ChannelClient {
  readonly options?: { readonly socket?: object | undefined } | undefined
  duplicate(overrides: {
    socket: { reconnectStrategy: false; socketTimeout: number }
    clientSideCache: undefined
  }): Subscriber
  on(event: 'ready', listener: () => void): unknown
  off(event: 'ready', listener: () => void): unknown
}

/** A connection of our own. */
interface Subscriber {
  on(event: 'error', listener: () => void): unknown
  unref(): void
  connect(): Promise<unknown>
  ping(): Promise<unknown>
  subscribe(channel: string, listener: () => void): Promise<unknown>
  destroy(): void
}

const SHORTEST_RETRY_MS = 50
const LONGEST_RETRY_MS = 2000
/** A connection that is silent for twice as long is given up: its other end may be gone without a word. */
const HEARTBEAT_MS = 10_000

/**
 * Calls `changed` for each message on the channel, and each time that one may have been missed: when it begins to listen,
 * listens again, or the app's client is connected.
 *
 * @returns ends it
 */
export function watchChannel(client: ChannelClient, channel: string, changed: () => void): () => void {
  let subscriber: Subscriber | undefined
  let retry: NodeJS.Timeout | undefined
  let heartbeat: NodeJS.Timeout | undefined
  let failures = 0

  async function listen(): Promise<void> {
    // Silence is looked after here; and a cache that is shared would be emptied whenever this connection ends.
    const socket = { ...client.options?.socket, reconnectStrategy: false, socketTimeout: 0 } as const
    const own = client.duplicate({ socket, clientSideCache: undefined })
    subscriber = own
    own.on('error', () => lose(own))
    own.unref()
    try {
      await own.connect()
      // A server that is still loading its data lets clients listen, but answers this with an error.
      await own.ping()
      await own.subscribe(channel, () => {
        if (subscriber === own) changed()
      })
    } catch {
      return lose(own)
    }
    if (subscriber !== own) return
    failures = 0
    heartbeat = keepAsking(own, () => lose(own))
    changed()
  }

  /** Done here, and not by the client's own strategy, whose timers would keep the process alive. */
  function lose(own: Subscriber): void {
    if (subscriber !== own) return
    leave()
    const longest = Math.min(SHORTEST_RETRY_MS * 2 ** failures, LONGEST_RETRY_MS)
    failures += 1
    retry = setTimeout(listen, longest * (0.5 + Math.random() / 2)).unref()
  }

  function leave(): void {
    const own = subscriber
    subscriber = undefined
    clearInterval(heartbeat)
    try {
      own?.destroy()
    } catch {
      // Version 5 throws when the connection is gone already.
    }
  }

  void listen()
  client.on('ready', changed)
  return function stop() {
    clearTimeout(retry)
    client.off('ready', changed)
    leave()
  }
}

function keepAsking(subscriber: Subscriber, silent: () => void): NodeJS.Timeout {
  let waiting = false
  const answered = () => {
    waiting = false
  }
  return setInterval(() => {
    if (waiting) return silent()
    waiting = true
    subscriber.ping().then(answered, silent)
  }, HEARTBEAT_MS).unref()
}
