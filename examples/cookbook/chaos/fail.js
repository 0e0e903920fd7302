// Fails as an app fails.
exit(500, 'chaos\n', { 'Cache-Control': 'no-store' })
