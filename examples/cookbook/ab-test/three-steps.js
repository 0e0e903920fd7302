ctx.state.checkout = 'three steps'
ctx.vary('Cookie')
