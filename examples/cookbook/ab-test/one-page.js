ctx.state.checkout = 'one page'
ctx.vary('Cookie')
