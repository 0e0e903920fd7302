// What the package must do on every supported Node, over real HTTP. Runs from the folder the tarball is installed in.
const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')

function listen(handler) {
  const server = http.createServer(handler).listen(0, '127.0.0.1')
  return once(server, 'listening').then(() => ({
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }))
}

function documentSaying(text) {
  return {
    domains: [
      {
        name: '*',
        plugins: [
          { name: 'hello', phase: 'content', code: `say(${JSON.stringify(text)})` },
          { name: 'stamp', phase: 'header_filter', code: `ctx.set('x-stamp', ${JSON.stringify(text)})` },
        ],
      },
    ],
  }
}

module.exports = async function scenario({ Koa, dynacode, closes }) {
  let document = documentSaying('hello')
  const api = await listen((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(document))
  })

  const dyna = dynacode({ plugin_api_uri: `${api.url}/plugins.json` })
  const koa = new Koa()
  koa.use(dyna)
  const app = await listen(koa.callback())

  async function assertAnswer(text) {
    const response = await fetch(app.url)
    assert.equal(response.status, 200)
    assert.equal((await response.text()).trim(), text)
    assert.equal(response.headers.get('x-stamp'), text)
  }

  await dyna.ready()
  await assertAnswer('hello')

  document = documentSaying('hello again')
  await dyna.refresh()
  await assertAnswer('hello again')

  // An instance that nobody closes must not keep the process alive either.
  if (closes) await dyna.close()
  app.close()
  api.close()
}
