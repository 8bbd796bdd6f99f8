"""The line by which txlb finds the strategy."""

from txlb.plugin import StrategyMaker

pair = StrategyMaker(
    "example-sticky-pair",
    "txlb_sticky_example:StickyPair",
    "two backends for each client, the less loaded one serves it",
)
