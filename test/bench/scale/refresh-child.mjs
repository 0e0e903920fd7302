// Measures reloads of many plugins. Arguments: how many plugins, and of how many bytes each. Sends what was measured.
import { measureReloads } from '../reload/measure.mjs'

const [count, size] = process.argv.slice(2).map(Number)
// Thousands of times: the channel stays open until they are gone.
process.send(await measureReloads({ count, size, cached: true }), () => process.disconnect())
