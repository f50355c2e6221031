"""Locust's CSV files, of any version and encoding, as one run."""
