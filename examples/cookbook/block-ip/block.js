// Refuses whoever it is for.
exit(403, 'blocked\n')
