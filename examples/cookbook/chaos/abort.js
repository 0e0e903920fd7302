// Closes the connection, and does not run the app.
ctx.res.destroy()
exit(503)
