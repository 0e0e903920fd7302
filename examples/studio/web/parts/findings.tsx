import type { Finding } from '../../shared/review.ts'

const SIGNS = { error: '✖', warning: '▲', note: '•' } as const

/** What the checks found. */
export function Findings({ findings, goto }: { findings: readonly Finding[]; goto?: (finding: Finding) => void }) {
  return (
    <ul class="findings">
      {findings.map((finding) => {
        const { severity, message, rule, plugin, domain, line, column, path } = finding
        return (
          <li key={`${rule} ${path} ${line} ${column} ${message}`} class={severity}>
            <span aria-hidden="true">{SIGNS[severity]}</span>
            <span>
              <span class="visually-hidden">{severity}: </span>
              {goto === undefined && plugin !== null && (
                <b>
                  {domain} / {plugin}
                  {line === null ? '' : `:${line}`}{' '}
                </b>
              )}
              {goto !== undefined && line !== null && (
                <button type="button" class="link" onClick={() => goto(finding)}>
                  {plugin?.includes('/') ? `${plugin.split('/').at(-1)}, ` : ''}line {line}
                </button>
              )}{' '}
              {message} <small>{rule}</small>
            </span>
          </li>
        )
      })}
    </ul>
  )
}
