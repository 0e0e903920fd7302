// The gateway: dynacode in front of a reverse proxy, so that plugins rule over servers in any language.
import { type DynacodeOptions, dynacode } from 'dynacode'
import Koa from 'koa'
import { createProxy, type ProxyOptions } from './proxy.ts'
import { createTunnel } from './tunnel.ts'

/** A Koa app that sends what plugins let pass to the upstream they choose. */
export function createGateway(options: DynacodeOptions, proxying: ProxyOptions) {
  const dyna = dynacode(options)
  const proxy = createProxy(proxying)
  const app = new Koa()
  app.use(dyna)
  app.use(proxy)
  return {
    app,
    dyna,
    /** For the server's `upgrade` event: Koa sees none of these requests. */
    upgrade: createTunnel(app, dyna, proxying),
    async close() {
      await Promise.all([dyna.close(), proxy.close()])
    },
  }
}
