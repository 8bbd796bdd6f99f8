"""The stream conformance suite: what every engine has to do with bytes, ends and resets.

`suite.py` puts the parts together. A new engine is one more line in `test_engines.py`. `test_peers.py` runs rows of it
without a proxy and over HAProxy and nginx, and says which of them these do not pass: the proof that the tests can fail.
"""
