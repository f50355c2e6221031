"""The lowest layer: small modules that several packages need.

`errors` (a user's mistake), `exit_codes`, `files` (atomic writes), `paths` (the state folder), `formatting`
(numbers as text), `text` and `markdown` (text from outside, made safe to show), `streams`
(standard streams that may go away), `imports`, `parent_process`. Every package may import it; it
imports none of them.
"""

import os

# To look for plug-ins, pydantic would read the metadata of every installed package, in each process.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
