import type { ComponentChildren } from 'preact'
import { useEdits } from '../changes/use-edits.ts'
import { Confirm } from '../dialog.tsx'
import { useStudio } from '../studio.tsx'

/** Asks whether something is to go, and removes it in the change set. */
export function Removal({
  name,
  what,
  body,
  removed,
  close,
  children,
}: {
  name: string
  what: 'domains' | 'plugins'
  /** Which one. */
  body: object
  removed(): void
  close(): void
  /** What goes with it. */
  children: ComponentChildren
}) {
  const { say } = useStudio()
  const edit = useEdits()
  return (
    <Confirm
      title={`Remove ${name}?`}
      action="Remove"
      danger
      close={close}
      run={async () => {
        await edit('DELETE', what, body)
        say(`${name} is removed in the change set`)
        removed()
      }}
    >
      <p>{children} It stays live until you publish, and earlier versions keep it.</p>
    </Confirm>
  )
}
