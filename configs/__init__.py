"""Plans, their validation, and the experiments that they consist of.

Every package may import it. `plan` and `load` hold the schema. `reading` reads YAML into it and reports each
mistake in one sentence. `experiment` describes one plan × instance × payload for the load.
"""
