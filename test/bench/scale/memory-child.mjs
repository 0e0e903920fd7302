// Measures the heap that an instance takes. Arguments: how many plugins, each in a domain of its own, and of how many bytes.
// Sends bytes per plugin, beyond an instance with one.
import { createInstance } from '../instance.mjs'
import { OPTIONS } from './documents.mjs'

const [count, length] = process.argv.slice(2).map(Number)

/** Code that a person might have written, of just that length; no two of them are the same. */
function createCode(n) {
  const lines = [`const limit = ${n}`]
  for (let index = 0; lines.join('\n').length < length; index += 1) {
    lines.push(
      `if (ctx.get('X-Part-${index}').length > limit) ctx.set('X-Long-${index}', ctx.path.slice(0, ${index + n}))`,
    )
  }
  const code = lines.slice(0, -1).join('\n')
  return `${code}\n//${'-'.repeat(Math.max(length - code.length - 3, 0))}`
}

const createDocument = (size) => ({
  domains: Array.from({ length: size }, (_, n) => ({
    name: `d${n}.example.com`,
    plugins: [{ name: 'headers', phase: 'header_filter', code: createCode(n) }],
  })),
})

async function measure(size) {
  const closings = []
  const instance = await createInstance({ defer: (each) => closings.push(each) }, createDocument(size), OPTIONS)
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise(setImmediate)
    globalThis.gc()
  }
  const { heapUsed, external } = process.memoryUsage()
  if (instance.status().plugins.length !== size) throw new Error('not every plugin is live')
  await Promise.all(closings.map((close) => close()))
  return { heap: heapUsed, external }
}

const one = await measure(1)
const many = await measure(count)
process.send({ heap: (many.heap - one.heap) / (count - 1), external: (many.external - one.external) / (count - 1) })
process.disconnect()
