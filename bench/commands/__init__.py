"""One module per family of commands; each lists its click commands in ``COMMANDS``."""
