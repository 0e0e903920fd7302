import type { Status } from '../../control/status.ts'
import type { Definition, Sample } from './definition.ts'
import type { Snapshot } from './scrape.ts'

const gauge = { type: 'gauge', labels: [] } as const

/** What is live. */
export const DOCUMENT_METRICS: readonly Definition[] = Object.freeze([
  {
    ...gauge,
    name: 'document_info',
    aggregator: 'sum',
    help: 'The live document, as labels; always 1.',
    labels: ['version', 'from'],
    read: ({ status: { version, from }, labels }) =>
      version === null ? [] : [{ shared: labels, own: { version: String(version), from: String(from) }, value: 1 }],
  },
  {
    ...gauge,
    name: 'document_attempted_info',
    aggregator: 'sum',
    help: 'The document that was looked at last, as a label; always 1. Another version than the live one was refused.',
    labels: ['version'],
    read: ({ status: { attempted_version }, labels }) =>
      attempted_version === null ? [] : [{ shared: labels, own: { version: String(attempted_version) }, value: 1 }],
  },
  {
    ...gauge,
    name: 'document_live_timestamp_seconds',
    aggregator: 'max',
    help: 'When the live document went live, in seconds since 1970.',
    read: (snapshot) => single(snapshot, ({ since }) => toSeconds(since)),
  },
  {
    ...gauge,
    name: 'document_validated_timestamp_seconds',
    aggregator: 'min',
    help: 'When the live document was last found to be what the source has, in seconds since 1970.',
    read: (snapshot) => single(snapshot, ({ validated_at }) => toSeconds(validated_at)),
  },
  {
    ...gauge,
    name: 'document_loaded',
    aggregator: 'min',
    help: 'Whether a document is live.',
    read: (snapshot) => single(snapshot, ({ loaded }) => Number(loaded)),
  },
  {
    ...gauge,
    name: 'document_enabled',
    aggregator: 'min',
    help: 'Whether the live document switches the plugins on.',
    read: (snapshot) => single(snapshot, ({ enabled }) => (enabled === null ? null : Number(enabled))),
  },
  {
    ...gauge,
    name: 'document_stale',
    aggregator: 'max',
    help: 'Whether the live document is stale, or past its end.',
    read: (snapshot) => single(snapshot, ({ stale }) => Number(stale)),
  },
  {
    ...gauge,
    name: 'disabled',
    aggregator: 'max',
    help: 'Whether the plugins are switched off in this process.',
    read: (snapshot) => single(snapshot, ({ disabled }) => Number(disabled)),
  },
  {
    ...gauge,
    name: 'canary_percent',
    aggregator: 'max',
    help: 'Share of the requests that get the candidate document, from 0 to 100; absent where the instance has no canary.',
    read: (snapshot) => single(snapshot, ({ canary }) => canary?.percent ?? null),
  },
  {
    ...gauge,
    name: 'canary_stopped',
    aggregator: 'max',
    help: 'Whether the candidate document was stopped; absent where the instance has no canary.',
    read: (snapshot) => single(snapshot, ({ canary }) => canary && Number(canary.stopped !== null)),
  },
  {
    ...gauge,
    name: 'last_refresh_successful',
    aggregator: 'min',
    help: 'Whether the last refresh went well; one that found nothing new did.',
    read: (snapshot) => single(snapshot, ({ last_error }) => Number(last_error === null)),
  },
] satisfies Definition[])

function single({ status, labels }: Snapshot, read: (status: Status) => number | null): Sample[] {
  const value = read(status)
  return value === null ? [] : [{ shared: labels, value }]
}

const toSeconds = (ms: number | null) => (ms === null ? null : ms / 1000)
