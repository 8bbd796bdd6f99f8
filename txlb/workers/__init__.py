"""Several worker processes that are one balancer.

    table        counters in memory that the processes share; each writes its own column only
    gauges       limits over all columns, without a lock away from the limit
    slots        which counter is whose: the parent's list of names
    changes      what the other processes changed since the last look
    remote       … told to the pools
    ticking      when to look
    channel      messages and descriptors between parent and worker
    spawning     a worker process and the parent's end of its channel
    backoff      how long to wait before the next try
    crew         the workers as the parent sees them: started, replaced, asked
    decisions    pools of the parent's own, which take no traffic: health, ejections and operators' words, decided once
    figures      the state and the measurements of many added up
    control      the many as operators see them: one balancer
    logs         a worker's lines in the parent's log
    following    a worker's part: it tells what it met and does what was decided

The parent binds the sockets, decides and reports; it carries no traffic. The workers carry it, and decide nothing that
has to be true for all. What they have to agree on at every connection, the counts, is in shared memory; all else are
messages. Nothing here knows how a balancer is put together: that is `txlb.service`'s part.
"""
