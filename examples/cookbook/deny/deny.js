// Refuses every request that matches.
exit(403, 'forbidden\n')
