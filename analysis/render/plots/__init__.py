"""The report's pictures: each function takes a result and returns a `Drawing`; `drawing` renders it.

The same colour stands for the same thing throughout: a hue for an instance, a shade for a concurrency. Every
picture is rendered as PNG (white paper) and as SVG whose colours follow the reader's light or dark mode.
"""
