"""Plans as people write them, validated, and the experiments they resolve to.

Every package may import it. `plan` and `load` hold the schema. `reading` reads YAML into it and reports each
mistake in one sentence. `experiment` is what one plan × instance × payload hands to the load.
"""
