"""Tests of txlb.engines that take no real time and open no sockets."""
