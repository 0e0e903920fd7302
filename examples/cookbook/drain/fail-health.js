// Fails the health check of drained servers, so that the load balancer sends them nothing new.
if (params.servers.includes(server)) exit(503, 'draining\n')
