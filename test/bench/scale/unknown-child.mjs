// Measures requests for hosts that are not known, in this process and without a network. Arguments: the kind of the domains,
// how many there are, and how many hosts to ask for. Sends microseconds per request, by what the hosts look like.
import { createContext, finish } from '../context.mjs'
import { createInstance } from '../instance.mjs'
import { mount } from '../mount.mjs'
import { quantile } from '../statistics.mjs'
import { createDocument, KINDS, OPTIONS } from './documents.mjs'

const [kind, size, count] = process.argv.slice(2)
const { app, close } = await mount((scope) => createInstance(scope, createDocument(kind, Number(size)), OPTIONS))
const serve = app.compose(app.middleware)
const pick = (letters) => letters[Math.floor(Math.random() * letters.length)]
const word = (length, letters = 'abcdefghijklmnopqrstuvwxyz') => Array.from({ length }, () => pick(letters)).join('')

const HOSTS = {
  known: () => KINDS[kind].host,
  // Like no domain.
  random: () => `${word(12)}.${word(3)}`,
  // As if made to be like as many domains as can be.
  alike: () => `www.d${word(5, '0123456789')}.example.com`,
  longest: () => `${word(240, '0123456789')}.example.com`,
}

async function measure(makeHost) {
  const times = []
  for (let index = 0; index < count; index += 1) {
    const ctx = createContext(app, { method: 'GET', path: '/hello', headers: { host: makeHost() } })
    const start = process.hrtime.bigint()
    await serve(ctx)
    times.push(Number(process.hrtime.bigint() - start) / 1e3)
    finish(ctx)
  }
  const sorted = times.toSorted((a, b) => a - b)
  return { median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}

const result = {}
// The first time is for V8.
for (const makeHost of Object.values(HOSTS)) await measure(makeHost)
for (const [name, makeHost] of Object.entries(HOSTS)) result[name] = await measure(makeHost)
await close()
process.send(result)
process.disconnect()
