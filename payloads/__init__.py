"""Prompts of known token length, built once at set-up and reused by every step.

`corpus` has public-domain text, `build` cuts it into length buckets with the served model's tokenizer, and
`files` finds a payload file by its label. ``python -m payloads`` builds all buckets. `traces` reads traces
of production traffic.
"""
