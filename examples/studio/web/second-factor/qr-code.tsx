import { encode } from 'uqr'

/** Text as a QR code. It is black on white in the dark, too: not every camera reads it otherwise. */
export function QrCode({ text }: { text: string }) {
  const { data, size } = encode(text, { border: 2 })
  const path = data.flatMap((row, y) => row.flatMap((is_dark, x) => (is_dark ? `M${x} ${y}h1v1h-1z` : []))).join('')
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label="QR code with the key below">
      <rect width={size} height={size} />
      <path d={path} />
    </svg>
  )
}
