"""Traces: when requests arrived and how long they were, read from the published formats.

`trace` is the model, `formats` knows the columns and keys of each format, `reading` reads a file or a folder,
and `describe` computes the figures of a trace.
"""
