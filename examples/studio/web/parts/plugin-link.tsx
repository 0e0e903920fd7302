import type { ComponentChildren } from 'preact'
import { query } from '../api.ts'
import { Link } from '../router.tsx'

/** A link to the page of a plugin, by what reports call it. */
export function PluginLink({
  domain,
  name,
  phase,
  children,
}: {
  domain: string
  name: string
  phase: string
  children: ComponentChildren
}) {
  return <Link href={`/plugin${query({ domain, name, phase })}`}>{children}</Link>
}
