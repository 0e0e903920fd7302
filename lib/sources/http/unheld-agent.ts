import type { Socket } from 'node:net'
import { Agent, buildConnector } from 'undici'

/** Makes an agent whose sockets never keep the process alive, whatever they are doing. */
export function createUnheldAgent(): Agent {
  const connect = buildConnector({})
  return new Agent({
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
