"""Plans as people write them, validated, and the experiments they resolve to.

Every package may import it. `plan` holds the schema, `loading` reads YAML into it and turns mistakes into one
clear sentence, `experiment` is what one plan × instance × payload hands to the load.
"""
