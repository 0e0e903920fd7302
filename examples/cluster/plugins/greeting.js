say('hello from a plugin')
