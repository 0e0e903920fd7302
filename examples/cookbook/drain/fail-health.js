// Tells the load balancer not to send anything new to the servers that are drained.
if (params.servers.includes(server)) exit(503, 'draining\n')
