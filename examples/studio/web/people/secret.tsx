import { useState } from 'preact/hooks'

/** Something that is shown once. */
export function Secret({ what, text }: { what: string; text: string }) {
  const [copied, setCopied] = useState(false)
  return (
    <div class="notice secret" role="status">
      <p>{what}</p>
      <div class="line">
        <input readOnly aria-label="Secret" value={text} onFocus={({ currentTarget }) => currentTarget.select()} />
        <button
          type="button"
          onClick={() =>
            navigator.clipboard.writeText(text).then(
              () => setCopied(true),
              () => undefined,
            )
          }
        >
          {copied ? 'Copied' : 'Copy'}
        </button>
      </div>
    </div>
  )
}
