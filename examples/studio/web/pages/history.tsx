import { useState } from 'preact/hooks'
import type { Version } from '../../shared/review.ts'
import { query } from '../api.ts'
import { Confirm } from '../dialog.tsx'
import { Empty, Failed, Loading, usePages } from '../load.tsx'
import { LoadedDifferences } from '../parts/differences.tsx'
import { useTitle } from '../parts/page.ts'
import { describePublished } from '../parts/published.ts'
import { Table } from '../parts/table.tsx'
import { Ago } from '../parts/time.tsx'
import { Link, usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'

const PAGE = 50
/** What was live before the first version. */
const NOTHING: Version = { version: 0, kind: 'publish', message: 'nothing', created_by: null, created_at: '' }

/** Every version; what is different between two; and the way back. */
export function HistoryPage() {
  const { api, say, refreshLive } = useStudio()
  const { search, go } = usePlace()
  const may_publish = useMay('publisher')
  const versions = usePages<Version>((after, limit) => `/versions${query({ before: after?.version, limit })}`, PAGE)
  const [back, setBack] = useState<Version>()
  useTitle('History')
  useStudioEvent('version', versions.reload)
  const newest = versions.items?.[0]?.version
  const [before, after] = [search.get('before'), search.get('after')].map((text) =>
    text === null ? undefined : Number(text),
  )
  const is_comparing = before !== undefined && after !== undefined
  const compare = (from: number, to: number) => go(`/history${query({ before: from, after: to })}`)

  return (
    <>
      <div class="head">
        <h1>History</h1>
      </div>
      {versions.problem && <Failed problem={versions.problem} again={versions.reload} />}
      {versions.items === undefined && versions.loading && <Loading />}
      {versions.items?.length === 0 && (
        <Empty>
          <p>
            <strong>Nothing has been published yet.</strong>
          </p>
          <p>
            <Link href="/changes">To the changes</Link>
          </p>
        </Empty>
      )}
      {is_comparing && <Comparison before={before} after={after} newest={newest} choose={compare} />}
      {versions.items && newest !== undefined && (
        <Table
          label="Versions"
          items={may_publish && !versions.has_more ? [...versions.items, NOTHING] : versions.items}
          keyOf={({ version }) => version}
          columns={[
            { head: 'Version', cell: ({ version }) => <b class="number">{version}</b> },
            { head: 'Message', cell: ({ message }) => message },
            {
              head: 'Kind',
              cell: ({ version, kind }) =>
                version === newest ? <span class="badge added">live</span> : version === 0 ? null : kind,
            },
            { head: 'By', cell: ({ version, created_by }) => (version === 0 ? null : (created_by ?? 'the studio')) },
            { head: 'When', cell: ({ created_at: at }) => (at === '' ? null : <Ago at={at} />) },
          ]}
          actions={(version) => (
            <>
              {version.version > 0 && (
                <button
                  type="button"
                  aria-label={`Changes of version ${version.version}`}
                  onClick={() => compare(version.version - 1, version.version)}
                >
                  Changes
                </button>
              )}
              {version.version > 0 && version.version !== newest && (
                <button
                  type="button"
                  aria-label={`Compare version ${version.version} with the newest`}
                  onClick={() => compare(version.version, newest)}
                >
                  Compare
                </button>
              )}
              {may_publish && version.version !== newest && (
                <button
                  type="button"
                  aria-label={
                    version.version === 0 ? 'Roll back to no plugins' : `Roll back to version ${version.version}`
                  }
                  onClick={() => setBack(version)}
                >
                  Roll back…
                </button>
              )}
            </>
          )}
        />
      )}
      {versions.has_more && (
        <button type="button" class="more" disabled={versions.loading} onClick={versions.more}>
          Earlier versions
        </button>
      )}
      {back && newest !== undefined && (
        <Confirm
          title={`Roll back to version ${back.version}?`}
          action="Roll back"
          danger
          close={() => setBack(undefined)}
          run={async () => {
            const published = await api.send<{ version: number }>('POST', `/versions/${back.version}/rollback`)
            say(`${describePublished(published)}: what version ${back.version} was`)
            refreshLive()
            versions.reload()
          }}
        >
          <p>
            “{back.message}” is published again, as version {newest + 1}, and is live within moments. Open change sets
            stay as it is.
          </p>
          <LoadedDifferences path={`/versions/${newest}/changes/${back.version}`} />
        </Confirm>
      )}
    </>
  )
}

function Comparison({
  before,
  after,
  newest,
  choose,
}: {
  before: number
  after: number
  newest: number | undefined
  choose(before: number, after: number): void
}) {
  const { go } = usePlace()
  return (
    <section class="card" aria-label="Comparison">
      <div class="head">
        <h2>
          From{' '}
          <VersionInput label="From version" value={before} max={newest} change={(value) => choose(value, after)} /> to{' '}
          <VersionInput label="To version" value={after} max={newest} change={(value) => choose(before, value)} />
        </h2>
        <button type="button" class="quiet" aria-label="Close the comparison" onClick={() => go('/history')}>
          ✕
        </button>
      </div>
      <LoadedDifferences path={`/versions/${before}/changes/${after}`} />
    </section>
  )
}

function VersionInput({
  label,
  value,
  max,
  change,
}: {
  label: string
  value: number
  max: number | undefined
  change(value: number): void
}) {
  return (
    <input
      class="number"
      type="number"
      aria-label={label}
      min={0}
      max={max}
      value={value}
      onChange={({ currentTarget }) => {
        const { valueAsNumber } = currentTarget
        if (currentTarget.checkValidity() && Number.isInteger(valueAsNumber)) change(valueAsNumber)
      }}
    />
  )
}
