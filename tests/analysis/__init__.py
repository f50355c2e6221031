"""Tests of the analysis; the helpers beside them are `records`, `seed_data` and `runs`."""
