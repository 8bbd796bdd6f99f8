"""The two sides of a connection, and the pair that links them: the same for every engine.

A client is accepted: the engine calls `ClientSideFactory.buildProtocol`, and the `ClientSide` makes a `ProxyPair`. The
pair asks the pool for a lease on a backend, has the engine dial it, and tries another when that fails. The dial's
result arrives as a `BackendSide`. Then bytes move, linked by the engine where it can, else through the two Protocols
with each transport as the other's producer.

The rules of the pair, which hold for every engine:

- end of stream on one side closes the other side's write half, after everything that came before it;
- a reset on one side becomes a reset on the other, after everything that came before it;
- when both directions have ended, both sides are closed; what cannot be flushed in `linger` seconds is reset;
- the lease is released exactly once, and one `ConnectionClosed` tells how it went.
"""
