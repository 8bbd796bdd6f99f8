"""The composition root: builds pools, listeners, engines and health checks from a `Config`, and keeps them in step.

`Balancer` is the whole of one process's balancer. `Ports` keeps the bound ports over reloads, `signals` lets an operator
speak to it, `txlb.tap` makes a Twisted service of it.
"""
