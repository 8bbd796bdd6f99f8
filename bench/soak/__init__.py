"""Hours of trouble: `python -m bench.soak --minutes 30`.

Random clients, backends that are killed, stopped and that reset, and reloads that change everything, all at once.
Afterwards, when the clients have gone, the balancer has to be what it was before them: as many descriptors, delayed
calls and no pair; its resident memory did not grow, and its log has no unhandled error. No byte was ever wrong; that a
connection was cut while its backend was killed is no fault, and is counted.

    inside    the balancer, with a signal by which it tells what it holds
    traffic   the clients
    faults    what is done to backends and to the configuration
    verdict   whether it is as it was
"""
