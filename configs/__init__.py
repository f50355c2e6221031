"""Ground floor: plans as people write them, validated, and the experiments they resolve to.

Every room may use this one; it uses none. `plan` holds the schema, `loading` reads YAML into it and turns
mistakes into one clear sentence, `experiment` is what one plan × instance × payload hands to the load.
"""
