"""The run folder, the one contract between load and analysis.

`layout` names the files, `records` their columns, `appending` writes them as they come, `reading` gives
them back as frames (only analysis needs it: it imports pandas), `manifest` is the run's own description.
"""
