// Delays the request.
await new Promise((done) => setTimeout(done, params.delay_ms))
