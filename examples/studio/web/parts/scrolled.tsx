import type { ComponentChildren } from 'preact'

/** What may be larger than its place, and is scrolled there, by keyboard too. */
export function Scrolled({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: not every browser lets the keyboard scroll what cannot be focused
    <section class="code-box" tabIndex={0} aria-label={label}>
      {children}
    </section>
  )
}
