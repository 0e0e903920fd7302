import { useEffect, useRef } from 'preact/hooks'
import { useAction } from '../form.tsx'
import type { Pages } from '../load.tsx'
import { useStudio } from '../studio.tsx'

interface Item {
  readonly id: number
  readonly name: string
}

/** Puts the entries of a list into another order, one step at a time. */
export function useOrder<T extends Item>(list: Pages<T>, path: (item: T) => string) {
  const { api } = useStudio()
  const { busy, problem, run } = useAction()
  const pressed = useRef<string | undefined>(undefined)
  const { items = [], has_more, reload } = list
  // The button that was pressed has moved with its entry: whoever presses it again means the same one.
  useEffect(() => {
    if (pressed.current === undefined) return
    document.getElementById(pressed.current)?.focus()
    pressed.current = undefined
  }, [items])

  const move = (item: T, direction: 'up' | 'down', before: number | null) =>
    run(async () => {
      await api.send('POST', `${path(item)}/move`, { before })
      pressed.current = buttonId(path(item), direction)
      reload()
    })
  return {
    problem,
    buttons: (item: T, index: number) => (
      <span class="order">
        <button
          type="button"
          class="quiet"
          id={buttonId(path(item), 'up')}
          aria-label={`Move ${item.name} up`}
          disabled={busy || index === 0}
          onClick={() => move(item, 'up', items[index - 1]?.id ?? null)}
        >
          ↑
        </button>
        <button
          type="button"
          class="quiet"
          id={buttonId(path(item), 'down')}
          aria-label={`Move ${item.name} down`}
          // What comes behind the second next one has to be known.
          disabled={busy || index + 1 >= items.length || (has_more && index + 2 >= items.length)}
          onClick={() => move(item, 'down', items[index + 2]?.id ?? null)}
        >
          ↓
        </button>
      </span>
    ),
  }
}

function buttonId(path: string, direction: 'up' | 'down'): string {
  return `${path.slice(1).replace('/', '-')}-${direction}`
}
