"""How txlb compares with HAProxy, nginx and Twisted's portforward: `python -m bench`.

What is measured is the proxy's own processor time per unit of work, its resident memory and the time it adds, while
everything around it stays the same: one C backend and one C load generator on one core, the proxy alone on another.

    native/     the backend and the load, compiled when the bench starts
    peers/      one file for each proxy, with its configuration beside it
    scenarios/  one file for each thing that is measured
    runner      peers x scenarios x rounds, interleaved, so that a slow minute of the machine hits all alike
    results     samples, medians, ratios by round, JSON;   table, plots: the same for people
    soak        `python -m bench.soak`: hours of traffic, faults and reloads, and then everything back at its baseline
"""
