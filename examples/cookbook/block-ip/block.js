// Refuses every request that matches.
exit(403, 'blocked\n')
