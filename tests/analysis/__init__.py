"""Tests of the analysis; the helpers beside them are `records`, `fmbench_march_2024` and `runs`."""
