"""Announces the strategy that the bench watches workers with."""

from txlb.plugin import StrategyMaker

spy = StrategyMaker("bench-spy", "bench.spy:Spy", "tells when a worker picks, and when it learns of others' picks")
