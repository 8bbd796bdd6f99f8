"""Bytes in bulk over 64 connections at once."""

from __future__ import annotations

from bench.scenarios import Metric
from bench.scenarios.bulk_one import Bulk

SCENARIO = Bulk("bulk-many", "bulk, 64 connections", (Metric("cpu", "bulk, 64 connections", "s/GB"),), streams=64)
