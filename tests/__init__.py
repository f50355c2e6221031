"""Tests; helpers shared inside a folder are imported as ``tests.<folder>.<module>``."""
