"""A load balancer and a proxy framework on Twisted.

The rooms of this package stand on floors, and a module imports only from floors below its own:

5. `txlb.tap`, `txlb.echo`, `txlb.service`, `txlb.cli`: the composition root, which knows everybody.
4. `txlb.admin`, `txlb.metrics`, `txlb.access_log`, `txlb.workers`: they read snapshots and subscribe to events.
3. `txlb.proxy`: the two sides of a connection and the pair that links them, the same for every engine.
2. `txlb.engines`, `txlb.health_checks`: the edges where bytes come and go;
   `txlb.simulate`, `txlb.testing`: pure, built on the floor below.
1. `txlb.config`, `txlb.model`, `txlb.strategies`: pure; no reactor, no sockets, no wall clock.
0. `txlb.interfaces`, `txlb.specs`, `txlb.errors`, `txlb.events`, `txlb.registry`, `txlb.plugin`: the words everybody shares.
"""

__version__ = "0.1.0"
