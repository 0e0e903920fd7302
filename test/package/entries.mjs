// What holds between the entries of the packed package, beside what each does by itself. Also under --enable-source-maps.
import assert from 'node:assert/strict'
import { DocumentError, DynacodeError, dynacode, OptionError } from 'dynacode'
import { memcached_source } from 'dynacode/memcached'
import { collect } from 'dynacode/metrics'
import { redis_source } from 'dynacode/redis'
import { plugin_app } from 'dynacode/testing'
import { document_api, run_request } from 'dynacode/tools'

const dyna = dynacode({ source: { fetch: async () => ({ bytes: Buffer.from('{"domains":[]}') }) } })

// An error of one entry is an instance of the class that another exports.
for (const call of [
  () => redis_source({}),
  () => memcached_source({}),
  () => collect(dyna, { max_plugins: -1 }),
  () => plugin_app([], { nothing: 1 }),
  () => run_request({ domains: [] }, { method: 'GET' }),
]) {
  await assert.rejects(
    async () => call(),
    (error) => error instanceof OptionError && error instanceof DynacodeError,
  )
}
await assert.rejects(run_request('{', { url: 'http://localhost/' }), (error) => error instanceof DocumentError)
assert.equal(typeof document_api, 'function')
await dyna.close()

// Whoever reads a stack trace finds our names in it; with source maps, our files and lines, too.
const { stack } = await readError()
assert.match(stack, /^OptionError: .*plugin_api_uri/)
assert.match(stack, /at parseOptions/)
assert.match(stack, /at dynacode /)
assert.equal(dyna.name, 'dynacode')
if (process.execArgv.includes('--enable-source-maps')) assert.match(stack, /lib[/\\]options\.ts:\d+:\d+/)
else assert.doesNotMatch(stack, /\.ts:/)

async function readError() {
  try {
    dynacode({ plugin_api_uri: 'nowhere' })
  } catch (error) {
    return error
  }
  throw new Error('there is no API at "nowhere"')
}
