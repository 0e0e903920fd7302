exit(403, 'no robots, please\n')
