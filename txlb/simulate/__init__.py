"""A laboratory: what would a strategy do, before it does it to anybody.

A deterministic discrete-event simulation that runs the very strategy objects of the balancer on a virtual clock. A
`Workload` says who arrives when and with how much work, a `Server` how a backend works it off, a `Balancer` is one
balancer's view of the servers, `Simulation` plays it all, and `results` measures. The same seed gives the same bytes.

The model of a server is a queue: it serves as many connections at once as it has places, in the order of arrival, each
for its service time, and others wait. Health checks, outlier ejection, slow start and queues in the balancer are left
out: what is seen is the strategy's own doing.
"""
