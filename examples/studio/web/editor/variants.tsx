import { TextField } from '../form.tsx'
import { restOf, type VariantForm } from './variant-form.ts'

/** Which of a plugin's codes is shown, what share each has, and how there come to be several. */
export function Variants({
  variants,
  code,
  shown,
  show,
  change,
  problemAt,
}: {
  variants: readonly VariantForm[]
  /** Of the plugin, where it has one alone. */
  code: string
  shown: number
  show(index: number): void
  change(part: { readonly variants: readonly VariantForm[]; readonly code?: string }): void
  problemAt(path: string): string | undefined
}) {
  const variant = variants[shown]
  const rest = restOf(variants)
  const set = (part: Partial<VariantForm>) =>
    change({ variants: variants.map((each, index) => (index === shown ? { ...each, ...part } : each)) })

  if (variant === undefined) {
    return (
      <p class="adders">
        <button
          type="button"
          class="quiet small"
          onClick={() => {
            change({
              code: '',
              variants: [
                { name: 'old', percent: '50', code },
                { name: 'new', percent: '50', code },
              ],
            })
            show(1)
          }}
        >
          Split into variants…
        </button>
      </p>
    )
  }
  return (
    <section class="card" aria-label="Variants">
      <div class="steps">
        {variants.map(({ name, percent }, index) => (
          // Names may be alike while they are typed.
          <button key={index} type="button" aria-pressed={index === shown} onClick={() => show(index)}>
            {name === '' ? 'unnamed' : name} {percent === '' ? '' : `${percent} %`}
          </button>
        ))}
        <button
          type="button"
          class="quiet"
          onClick={() => {
            const share = String(Math.max(0, rest))
            change({ variants: [...variants, { name: `v${variants.length + 1}`, percent: share, code: variant.code }] })
            show(variants.length)
          }}
        >
          Add a variant
        </button>
      </div>
      <div class="grid">
        <TextField
          label="Variant"
          value={variant.name}
          change={(name) => set({ name })}
          problem={problemAt(`variants[${shown}].name`)}
        />
        <TextField
          label="Share (%)"
          hint={rest === 0 ? 'Together: 100 %.' : rest > 0 ? `${rest} % of the requests run none of them.` : undefined}
          inputMode="decimal"
          value={variant.percent}
          change={(percent) => set({ percent })}
          problem={
            problemAt(`variants[${shown}].percent`) ??
            (rest < 0 ? `expected at most 100 % together, got ${100 - rest} %` : undefined)
          }
        />
        <button
          type="button"
          onClick={() => {
            const others = variants.filter((_, index) => index !== shown)
            const [only] = others
            change(only !== undefined && others.length === 1 ? { variants: [], code: only.code } : { variants: others })
            show(0)
          }}
        >
          Remove this variant
        </button>
      </div>
    </section>
  )
}
