// Refuses whatever it is for.
exit(403, 'forbidden\n')
