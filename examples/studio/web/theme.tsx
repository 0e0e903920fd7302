import { useState } from 'preact/hooks'

type Theme = 'auto' | 'light' | 'dark'

const NEXT = { auto: 'light', light: 'dark', dark: 'auto' } as const
const NAMES = { auto: 'system', light: 'light', dark: 'dark' } as const
const SIGNS = { auto: '◐', light: '☀', dark: '☾' } as const

/** Changes between light, dark, and what the system says; `theme.js` puts it in place before the page is drawn. */
export function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(
    () => (document.documentElement.dataset.theme as Theme | undefined) ?? 'auto',
  )
  const next = NEXT[theme]
  return (
    <button
      type="button"
      class="quiet"
      aria-label={`Colours: ${NAMES[theme]}; change to ${NAMES[next]}`}
      title={`Colours: ${NAMES[theme]}`}
      onClick={() => {
        const { dataset } = document.documentElement
        if (next === 'auto') delete dataset.theme
        else dataset.theme = next
        try {
          if (next === 'auto') localStorage.removeItem('theme')
          else localStorage.setItem('theme', next)
        } catch {
          // A browser that keeps nothing has it until the page is closed.
        }
        setTheme(next)
      }}
    >
      {SIGNS[theme]}
    </button>
  )
}
