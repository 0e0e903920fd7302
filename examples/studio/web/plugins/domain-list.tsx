import { useState } from 'preact/hooks'
import type { Domain } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { useEdits } from '../changes/use-edits.ts'
import { Failed, Loading, type Pages } from '../load.tsx'
import { More } from '../parts/more.tsx'
import { Link } from '../router.tsx'
import { useMay } from '../studio.tsx'
import { useOrder } from './order.tsx'

/** Every domain, in the order in which a document has them. */
export function DomainList({
  domains,
  chosen,
  search,
}: {
  domains: Pages<Domain>
  chosen: string | undefined
  search: string
}) {
  const may_write = useMay('author')
  const [ordering, setOrdering] = useState(false)
  const edit = useEdits()
  const order = useOrder(
    domains,
    ({ name }) => `domain-${name}`,
    ({ name }, before) => edit('POST', 'domains/move', { domain: name, before: before?.name ?? null }),
  )
  const { items, problem, loading, reload } = domains
  const failed = order.problem ?? problem
  return (
    <aside aria-label="Domains">
      {failed && <Failed problem={failed} again={reload} />}
      {items === undefined && loading && <Loading />}
      <ul class="domains">
        <li>
          <Link href={`/${query({ q: search })}`} aria-current={chosen === undefined ? 'true' : undefined}>
            <span>All domains</span>
          </Link>
        </li>
        {items?.map((domain, index) => (
          <li key={domain.name}>
            <Link
              href={`/${query({ q: search, domain: domain.name })}`}
              aria-current={chosen === domain.name ? 'true' : undefined}
            >
              <span>
                {domain.change !== null && <span class={`badge ${domain.change}`}>{domain.change}</span>} {domain.name}
              </span>{' '}
              <small>{domain.plugins}</small>
            </Link>
            {ordering && search === '' && domain.change !== 'removed' && order.buttons(domain, index)}
          </li>
        ))}
        {domains.has_more && (
          <li>
            <More of={domains} what="domains" />
          </li>
        )}
      </ul>
      {may_write && search === '' && (items?.length ?? 0) > 1 && (
        <button type="button" class="quiet small" aria-pressed={ordering} onClick={() => setOrdering(!ordering)}>
          Reorder<span class="visually-hidden"> the domains</span>
        </button>
      )}
    </aside>
  )
}
