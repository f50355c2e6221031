"""One load-generating process: its users, its request log and its health."""
