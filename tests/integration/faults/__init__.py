"""The fault battery: a proxy that misbehaves on purpose, and a table of what must come of it.

`python -m tests.integration.faults.compare` runs the same table over HAProxy and nginx and prints where they differ.
"""
