import { useEffect, useRef, useState } from 'preact/hooks'
import type { Ran } from '../../shared/trial.ts'
import { AreaField, Form, SelectField, TextField, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { Trace } from '../parts/trace.tsx'
import { useStudio } from '../studio.tsx'

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'].map((method) => [method, method] as const)

/** Fields of the API that stand in the form, and say themselves what is wrong with them. */
const FIELDS = /^(request\.)?(method|url|headers|body|ip|now|answers)\b/

/** Sends a request through what is live, or a change set. */
export function TryPage() {
  useTitle('Try it')
  return (
    <>
      <div class="head">
        <h1>Try it</h1>
      </div>
      <p class="hint">
        Sends a request through the plugins, in an isolated process with a test app that answers “app”. Nothing leaves
        that process: you fill in the responses that plugins get from fetch.
      </p>
      <TryForm host="example.com" />
    </>
  )
}

/** @param document to try, in place of a change set and what is live */
export function TryForm({ document: given, host }: { document?: object; host: string }) {
  const { api, set } = useStudio()
  const [source, setSource] = useState<'set' | 'live'>('set')
  const [method, setMethod] = useState('GET')
  const [url, setUrl] = useState(`http://${host}/`)
  const [headers, setHeaders] = useState('')
  const [body, setBody] = useState('')
  const [ip, setIp] = useState('')
  const [now, setNow] = useState('')
  const [answers, setAnswers] = useState('')
  const [ran, setRan] = useState<Ran>()
  const { busy, problem, run } = useAction()

  async function send() {
    await run(async () => {
      const time = now === '' ? undefined : new Date(now).toISOString()
      const request = {
        method,
        url,
        headers: readHeaders(headers),
        ...(body === '' ? {} : { body }),
        ...(ip.trim() === '' ? {} : { ip: ip.trim() }),
      }
      const what =
        given === undefined
          ? set === undefined || source === 'live'
            ? { source: 'live' }
            : { source, set }
          : { source: 'document', document: given }
      const around = {
        ...(time === undefined ? {} : { now: time }),
        ...(answers.trim() === '' ? {} : { answers: readAnswers(answers) }),
      }
      setRan(await api.send<Ran>('POST', '/try', { ...what, request, ...around }))
    })
  }
  const sending = useRef(send)
  sending.current = send
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      sending.current()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
  const at = (field: string) => problem?.fields[field] ?? problem?.fields[`request.${field}`]
  return (
    <div class="try">
      <Form class="card" aria-label="Request" submit={send}>
        <div class="line">
          <SelectField label="Method" value={method} options={METHODS} change={setMethod} problem={at('method')} />
          <TextField label="URL" wide value={url} change={setUrl} problem={at('url')} inputMode="url" required />
        </div>
        <AreaField
          label="Headers"
          hint="One per line, such as X-User: ada"
          value={headers}
          change={setHeaders}
          problem={problem?.fields.headers ?? firstBelow(problem?.fields, 'request.headers')}
        />
        <AreaField
          label="Body"
          value={body}
          change={setBody}
          problem={at('body')}
          disabled={method === 'GET' || method === 'HEAD'}
        />
        <AreaField
          label="Responses to fetch"
          hint={'One per line, such as GET https://api.example.com/stock 200 {"left":3}'}
          value={answers}
          change={setAnswers}
          problem={problem?.fields.answers ?? firstBelow(problem?.fields, 'answers')}
        />
        <div class="grid">
          <TextField label="Client IP" placeholder="127.0.0.1" value={ip} change={setIp} problem={at('ip')} />
          <TextField
            label="Time"
            hint="Default: now."
            type="datetime-local"
            value={now}
            change={setNow}
            problem={at('now')}
          />
          {given === undefined && set !== undefined && (
            <SelectField
              label="Plugins of"
              value={source}
              options={[
                ['set', 'the change set'],
                ['live', 'the live version'],
              ]}
              change={(value) => setSource(value)}
            />
          )}
        </div>
        {problem && !Object.keys(problem.fields).some((field) => FIELDS.test(field)) && <Failed problem={problem} />}
        <footer>
          <button type="submit" class="primary" disabled={busy}>
            {busy ? 'Sending…' : 'Send'}
          </button>
        </footer>
      </Form>
      <section aria-label="Result" aria-live="polite">
        {ran === undefined ? <p class="state empty">Send a request to see the result here.</p> : <Trace ran={ran} />}
      </section>
    </div>
  )
}

function firstBelow(fields: Readonly<Record<string, string>> | undefined, path: string): string | undefined {
  return Object.entries(fields ?? {}).find(([key]) => key.startsWith(path))?.[1]
}

function readAnswers(text: string): object[] {
  return text.split('\n').flatMap((line) => {
    if (line.trim() === '') return []
    const [, method, url = '', status = '', body = ''] =
      /^\s*(?:([A-Z]+)\s+)?(\S+)(?:\s+(\d{3}))?(?:\s+(.*))?$/.exec(line) ?? []
    return [
      { url, body, ...(method === undefined ? {} : { method }), ...(status === '' ? {} : { status: Number(status) }) },
    ]
  })
}

function readHeaders(text: string): Record<string, string[]> {
  const headers: Record<string, string[]> = {}
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const [, name = line.trim(), value = ''] = /^([^:]+):(.*)$/.exec(line) ?? []
    headers[name.trim()] = [...(headers[name.trim()] ?? []), value.trim()]
  }
  return headers
}
