// Asks for the new implementation in place of the old one. The query stays.
ctx.path = params.path
