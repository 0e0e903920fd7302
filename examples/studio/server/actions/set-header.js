// Sets a header of every response, whatever the app has set.
ctx.set(params.name, params.value)
