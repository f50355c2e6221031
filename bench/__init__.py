"""Top floor: the conductor that plays a plan from deploy to report, and the command line in front of it.

The only room that knows all the others. `cli` is the entrance (``python -m bench``), `commands` one module
per family of commands, `conductor` plays a plan, `checks` finds mistakes before anything is started,
`load` runs Locust as a child, `screen` shows what goes on, `provenance` says where a run was made.
"""
