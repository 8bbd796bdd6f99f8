"""The running state of pools: which backends there are, who may be picked, who is connected, who waits.

Pure: no reactor, no sockets, no wall clock; an `IReactorTime` and a `random.Random` are passed in.

`Pool` is the door. It asks its `Roster` who is eligible, its `Chain` of strategies whom to pick, and hands out a
`Lease` that counts from before the dial until it is released, exactly once. What operators, reloads and health checks
say about a backend goes through the pool into the roster, where eligibility and weight are computed in one place.
"""
