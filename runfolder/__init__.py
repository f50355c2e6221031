"""The run folder, the only interface between load and analysis.

`layout` names the files and `records` their columns. `appending` writes rows as they arrive. `reading` reads
them into frames; only analysis needs it, as it imports pandas. `manifest` describes the run.
"""
