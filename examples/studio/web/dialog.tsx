import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { useAction } from './form.tsx'
import { Failed } from './load.tsx'

/** A dialog over the page; the browser keeps the focus in it, and gives it back. */
export function Dialog({
  title,
  close,
  children,
  danger = false,
}: {
  title: string
  close(): void
  children: ComponentChildren
  danger?: boolean
}) {
  const own = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = own.current as HTMLDialogElement
    const before = document.activeElement
    dialog.showModal()
    return () => {
      dialog.close()
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  // What is asked next, in the same dialog, takes the place of the button that had the focus.
  useEffect(() => {
    const dialog = own.current as HTMLDialogElement
    if (!dialog.contains(document.activeElement)) dialog.querySelector<HTMLElement>('[autofocus]')?.focus()
  }, [title])
  return (
    <dialog
      ref={own}
      class={danger ? 'danger' : undefined}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        close()
      }}
      // A browser may close it without asking first, when Escape is pressed once more.
      onClose={() => own.current?.isConnected && close()}
    >
      <header>
        <h2 id={id}>{title}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={close}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  )
}

/** Asks once whether somebody means it. */
export function Confirm({
  title,
  action,
  children,
  danger = false,
  close,
  run,
}: {
  title: string
  /** What the button says. */
  action: string
  children: ComponentChildren
  danger?: boolean
  close(): void
  run(): Promise<unknown>
}) {
  const { busy, problem, run: start } = useAction()
  return (
    <Dialog title={title} close={close} danger={danger}>
      {children}
      {problem && <Failed problem={problem} />}
      <footer>
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button
          type="button"
          class={danger ? 'danger' : 'primary'}
          disabled={busy}
          autofocus
          onClick={async () => {
            if (await start(run)) close()
          }}
        >
          {busy ? 'Please wait…' : action}
        </button>
      </footer>
    </Dialog>
  )
}
