import { Dialog } from '../dialog.tsx'

const KEYS = [
  ['/', 'search'],
  ['?', 'these keys'],
  ['Ctrl S or ⌘ S', 'save the plugin'],
  ['Ctrl Enter or ⌘ Enter', 'send the request to try'],
  ['Ctrl Space', 'complete, in the code'],
  ['Escape, then Tab', 'leave the code'],
  ['Escape', 'close a dialog'],
] as const

/** What can be done by key. */
export function Keys({ close }: { close(): void }) {
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
