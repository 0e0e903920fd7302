// Cuts the connection, and keeps the app from working for nobody.
ctx.res.destroy()
exit(503)
