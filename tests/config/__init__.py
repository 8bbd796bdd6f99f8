"""Tests of `txlb.config`."""
