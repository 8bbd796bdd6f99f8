"""The admin: how operators, probes, scrapers and the dashboard speak to a running balancer, over HTTP.

It knows the balancer as an `IControl` and nothing else, so it serves one process or many alike. From outside inwards:

    channel    bytes to requests, and what bounds them: sizes, counts, time
    access     who may ask: token, Host, Origin
    routes     which handler a path and a method have
    reading    JSON bodies to typed values
    api        the handlers: each returns an `Answer` or raises a `Refusal`
    streams    the events, as they happen, to whoever keeps a connection open for them
    server     puts these together, and outlives reloads

Nothing here may hold up the data path: what grows with the number of backends is made in slices.
"""
