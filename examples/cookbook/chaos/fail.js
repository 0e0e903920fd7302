// Fails like an app.
exit(500, 'chaos\n', { 'Cache-Control': 'no-store' })
