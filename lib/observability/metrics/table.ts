import type { Definition } from './definition.ts'
import { DOCUMENT_METRICS } from './of-documents.ts'
import { EVENT_METRICS } from './of-events.ts'
import { PLUGIN_METRICS } from './of-plugins.ts'

/** Every metric, in the order in which they are scraped. */
export const METRICS: readonly Definition[] = Object.freeze([...DOCUMENT_METRICS, ...PLUGIN_METRICS, ...EVENT_METRICS])
