import { TextField } from '../form.tsx'

/** Asks for a password. @param is_new whether it is being chosen */
export function PasswordField({
  label = 'Your password',
  is_new = false,
  ...rest
}: {
  label?: string
  is_new?: boolean
  value: string
  change(value: string): void
  problem?: string | undefined
  autofocus?: boolean
}) {
  return (
    <TextField
      label={label}
      {...(is_new ? { hint: 'At least 12 characters.', minLength: 12 } : {})}
      type="password"
      autocomplete={is_new ? 'new-password' : 'current-password'}
      required
      {...rest}
    />
  )
}
