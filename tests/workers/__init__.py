"""Tests of txlb.workers: on a clock, without worker processes."""
