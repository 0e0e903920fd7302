// Redacts JSON fields by name, at every level. Streamed JSON is collected first.
if (!ctx.response.is('json', '+json')) return
ctx.state.redact_json ??= { decoder: new TextDecoder(), text: '' }
const json = ctx.state.redact_json
json.text += typeof chunk === 'string' ? chunk : json.decoder.decode(chunk, { stream: !last })
if (json.text.length > params.max_length) throw new Error('the JSON is too long to be redacted')
if (!last) return null
if (json.text === '') return
return JSON.stringify(
  JSON.parse(json.text, (name, value) => (params.fields.includes(name.toLowerCase()) ? 'redacted' : value)),
)
