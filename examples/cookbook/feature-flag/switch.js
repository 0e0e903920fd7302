// Sets flags for this request only: without the plugin, they are gone.
ctx.state.flags = { ...ctx.state.flags, ...params.flags }
