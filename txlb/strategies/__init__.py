"""The built-in strategies, one small file each, found as plugins by the same door as everybody else's.

Where weights meet an algorithm: a backend's `weight` is the effective one scaled by 100, so weight 1 is 100 and a slow
start may give 10. No strategy needs it divided: only proportions matter, except to the ring, which has 160 points a 100.

Beside the strategies there are the structures that they share: `schedule` (turns by weight), `ranking` (least of many
changing keys), `turns` (whose turn among equals), `parking` (what `exclude` holds, set aside), `hashing` and `bound`.
"""
