import type { ComponentChildren } from 'preact'

/** A column of a table. */
export interface Column<T> {
  readonly head: string
  /** What a row has in it; null: nothing. */
  cell(item: T): ComponentChildren
}

/**
 * A list with columns; on a phone, a card for each row, in which every value has its name. The first column names the row.
 *
 * @param actions buttons of a row, in a column without a name
 */
export function Table<T>({
  label,
  items,
  keyOf,
  columns,
  actions,
}: {
  label: string
  items: readonly T[]
  keyOf(item: T): string | number
  columns: readonly Column<T>[]
  actions?: (item: T) => ComponentChildren
}) {
  const [first, ...others] = columns as [Column<T>, ...Column<T>[]]
  return (
    <table class="cards" aria-label={label}>
      <thead>
        <tr>
          {columns.map(({ head }) => (
            <th key={head} scope="col">
              {head}
            </th>
          ))}
          {actions && (
            <th scope="col">
              <span class="visually-hidden">Actions</span>
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr key={keyOf(item)}>
            <th scope="row">{first.cell(item)}</th>
            {others.map(({ head, cell }) => (
              <td key={head} data-head={head}>
                <span>{cell(item) ?? '–'}</span>
              </td>
            ))}
            {actions && (
              <td class="actions-cell">
                <span>{actions(item)}</span>
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
