"""One load-generating process: its users, its request log, its health."""
