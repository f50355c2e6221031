"""The metrics of a running benchmark for other programs: a page for Prometheus, and OpenTelemetry.

Both present the states that the live page and the terminal present, so all of them show the same figures.
"""
