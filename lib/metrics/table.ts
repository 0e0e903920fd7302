import type { Definition } from './definition.ts'
import { DOCUMENT_METRICS } from './document-metrics.ts'
import { EVENT_METRICS } from './event-metrics.ts'
import { PLUGIN_METRICS } from './plugin-metrics.ts'

/** Every metric, in the order in which they are scraped. */
export const METRICS: readonly Definition[] = Object.freeze([...DOCUMENT_METRICS, ...PLUGIN_METRICS, ...EVENT_METRICS])
