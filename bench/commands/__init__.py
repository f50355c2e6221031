"""One module per family of commands; each has its click commands by name in ``COMMANDS``."""
