import { useMemo, useState } from 'preact/hooks'
import { Findings } from '../parts/findings.tsx'
import type { Checked } from './check.ts'
import { CodeField } from './code-field.tsx'
import type { PluginForm } from './plugin-form.ts'
import { Variants } from './variants.tsx'

/** The code, or one of its variants, and what the checks find in it. */
export function CheckedCode({
  form,
  change,
  checked: { findings, problem },
  problemAt,
  read_only,
}: {
  form: PluginForm
  change(part: Partial<PluginForm>): void
  checked: Checked
  problemAt(path: string): string | undefined
  read_only: boolean
}) {
  const [chosen, setChosen] = useState(0)
  const [goto, setGoto] = useState<{ line: number }>()
  const { variants } = form
  const shown = Math.min(chosen, Math.max(variants.length - 1, 0))
  const variant = variants[shown]
  const named = variant && `${form.name.trim() || 'unnamed'}/${variant.name.trim()}`
  const in_code = useMemo(
    () => findings.filter(({ line, plugin }) => line !== null && (named === undefined || plugin === named)),
    [findings, named],
  )
  const params = useMemo(() => namesIn(form.params), [form.params])
  const errors = findings.filter(({ severity }) => severity === 'error').length
  return (
    <div class="under-code">
      <fieldset class="bare" disabled={read_only}>
        {(!read_only || variant) && (
          <Variants
            variants={variants}
            code={form.code}
            shown={shown}
            show={setChosen}
            change={change}
            problemAt={problemAt}
          />
        )}
      </fieldset>
      <CodeField
        // Each has its own way back through what was typed.
        key={variant === undefined ? 'code' : shown}
        code={variant?.code ?? form.code}
        phase={form.phase}
        params={params}
        findings={in_code}
        read_only={read_only}
        change={(code) =>
          change(
            variant === undefined
              ? { code }
              : { variants: variants.map((each, index) => (index === shown ? { ...each, code } : each)) },
          )
        }
        goto={goto}
      />
      <div class="checked" role="status" aria-live="polite">
        {problem !== undefined ? (
          <p class="problem">The code could not be checked: {problem.message}</p>
        ) : findings.length === 0 ? (
          <p class="fine">✓ No problems found</p>
        ) : (
          <>
            <p class={errors > 0 ? 'problem' : 'hint'}>
              {errors > 0
                ? `${errors === 1 ? '1 error prevents' : `${errors} errors prevent`} publishing.`
                : 'Warnings'}
            </p>
            <Findings
              findings={findings}
              goto={({ line, plugin }) => {
                const at = variants.findIndex(({ name }) => plugin?.endsWith(`/${name.trim()}`))
                if (at !== -1) setChosen(at)
                if (line !== null) setGoto({ line })
              }}
            />
          </>
        )}
      </div>
    </div>
  )
}

function namesIn(params: string): readonly string[] {
  try {
    return Object.keys(JSON.parse(params))
  } catch {
    return []
  }
}
