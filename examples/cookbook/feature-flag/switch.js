// Switches flags for this request alone: when the plugin goes, so do they.
ctx.state.flags = { ...ctx.state.flags, ...params.flags }
