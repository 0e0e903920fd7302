// Remembers for a while that a server could not be reached.
if (ctx.status === 502 || ctx.status === 504) store.set(`failing:${ctx.state.upstream}`, true, params.seconds)
