import type { ComponentChildren } from 'preact'
import { Confirm } from '../dialog.tsx'
import { useStudio } from '../studio.tsx'

/** Asks whether something is to go from the draft, and takes it out. */
export function Removal({
  name,
  path,
  revision,
  removed,
  close,
  children,
}: {
  name: string
  /** Of the API. */
  path: string
  revision: number
  removed(): void
  close(): void
  /** What goes with it. */
  children: ComponentChildren
}) {
  const { api, say } = useStudio()
  return (
    <Confirm
      title={`Remove ${name}?`}
      action="Remove"
      danger
      close={close}
      run={async () => {
        await api.send('DELETE', path, { revision })
        say(`${name} is removed from the draft`)
        removed()
      }}
    >
      <p>{children} It stays live until you publish, and earlier versions keep it.</p>
    </Confirm>
  )
}
