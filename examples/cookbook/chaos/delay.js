// Keeps the request waiting.
await new Promise((done) => setTimeout(done, params.delay_ms))
