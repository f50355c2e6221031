"""The report's pictures: each function takes a result and returns a `Drawing`; `drawing` renders it.

The same color stands for the same thing throughout: a hue for an instance, a shade for a level of load. Every
picture is rendered as PNG (white paper) and as SVG whose colors follow the reader's light or dark mode.
"""
