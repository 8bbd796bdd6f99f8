"""The built-in strategies, announced as anybody's are."""

from txlb.plugin import StrategyMaker

_BUILT_IN = "txlb.strategies."

round_robin = StrategyMaker("round-robin", _BUILT_IN + "round_robin:RoundRobin", "each in turn, as often as its weight")
least_connections = StrategyMaker(
    "least-connections", _BUILT_IN + "least_connections:LeastConnections", "the fewest connections for its weight"
)
least_time = StrategyMaker(
    "least-time", _BUILT_IN + "least_time:LeastTime", "the least expected time: measured time by connections"
)
random = StrategyMaker("random", _BUILT_IN + "random_draw:WeightedRandom", "drawn at random by weight")
first_available = StrategyMaker(
    "first-available", _BUILT_IN + "first_available:FirstAvailable", "the first by name, the next only when it is full"
)
power_of_two = StrategyMaker(
    "power-of-two", _BUILT_IN + "power_of_two:PowerOfTwo", "the less loaded of two drawn at random by weight"
)
peak_ewma = StrategyMaker(
    "peak-ewma", _BUILT_IN + "peak_ewma:LeastPeakEwma", "the least load, by an average that believes bad news at once"
)
source_hash = StrategyMaker(
    "source-hash", _BUILT_IN + "source_hash:SourceHash", "the same backend for a client, while the pool stays the same"
)
maglev = StrategyMaker(
    "maglev", _BUILT_IN + "maglev:Maglev", "the same backend for a client, evenly; few move when the pool changes"
)
ring_hash = StrategyMaker(
    "ring-hash",
    _BUILT_IN + "ring_hash:RingHash",
    "the same backend for a client; the fewest move, and changes are cheap",
)
rendezvous = StrategyMaker(
    "rendezvous", _BUILT_IN + "rendezvous:Rendezvous", "the same backend for a client, exact; for small pools"
)
