import type { ComponentChildren } from 'preact'

/** What may be larger than its place, and is scrolled there, by keyboard too. */
export function Scrolled({
  label,
  kind = 'code-box',
  children,
}: {
  label: string
  kind?: 'code-box' | 'scroll'
  children: ComponentChildren
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: not every browser lets the keyboard scroll what cannot be focused
    <section class={kind} tabIndex={0} aria-label={label}>
      {children}
    </section>
  )
}
