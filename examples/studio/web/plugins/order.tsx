import { useEffect, useRef } from 'preact/hooks'
import { useAction } from '../form.tsx'
import type { Pages } from '../load.tsx'

interface Item {
  readonly name: string
}

/**
 * Puts the entries of a list into another order, one step at a time.
 *
 * @param idOf what an entry is known by
 * @param place puts an entry before another one, or behind all
 */
export function useOrder<T extends Item>(
  list: Pages<T>,
  idOf: (item: T) => string,
  place: (item: T, before: T | null) => Promise<unknown>,
) {
  const { busy, problem, run } = useAction()
  const pressed = useRef<string | undefined>(undefined)
  const { items = [], has_more, reload } = list
  // The button that was pressed has moved with its entry: whoever presses it again means the same one.
  useEffect(() => {
    if (pressed.current === undefined) return
    document.getElementById(pressed.current)?.focus()
    pressed.current = undefined
  }, [items])

  const move = (item: T, direction: 'up' | 'down', before: T | null) =>
    run(async () => {
      await place(item, before)
      pressed.current = buttonId(idOf(item), direction)
      reload()
    })
  return {
    problem,
    buttons: (item: T, index: number) => (
      <span class="order">
        <button
          type="button"
          class="quiet"
          id={buttonId(idOf(item), 'up')}
          aria-label={`Move ${item.name} up`}
          disabled={busy || index === 0}
          onClick={() => move(item, 'up', items[index - 1] ?? null)}
        >
          ↑
        </button>
        <button
          type="button"
          class="quiet"
          id={buttonId(idOf(item), 'down')}
          aria-label={`Move ${item.name} down`}
          // What comes behind the second next one has to be known.
          disabled={busy || index + 1 >= items.length || (has_more && index + 2 >= items.length)}
          onClick={() => move(item, 'down', items[index + 2] ?? null)}
        >
          ↓
        </button>
      </span>
    ),
  }
}

function buttonId(id: string, direction: 'up' | 'down'): string {
  return `${id.replace(/\s+/g, '-')}-${direction}`
}
