"""The command line from deploy to report, as a user has it."""
