"""The lowest layer: what every package needs and none owns. One small module per thing.

`errors` (a user's mistake), `exit_codes`, `files` (atomic writes), `paths` (the state folder), `formatting`
(numbers as people read them), `text` and `markdown` (text from outside, made safe to show), `streams`
(standard streams that may go away), `parent_process`. Every package may import it; it imports none.
"""
