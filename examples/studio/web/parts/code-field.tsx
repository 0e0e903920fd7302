import { TextField } from '../form.tsx'

/** Asks for a code of the second factor. */
export function CodeField({
  value,
  change,
  problem,
  hint = 'From your authenticator app, or one of your recovery codes.',
}: {
  value: string
  change(value: string): void
  problem: string | undefined
  hint?: string
}) {
  return (
    <TextField
      label="Code"
      hint={hint}
      value={value}
      change={change}
      problem={problem}
      autocomplete="one-time-code"
      inputMode="text"
      required
      autofocus
    />
  )
}
