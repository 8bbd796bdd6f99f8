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
