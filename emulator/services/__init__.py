"""The AWS services beside SageMaker that a run calls, as far as it calls them.

Each module has ``OPERATIONS``: the name of an operation → what answers it. Shapes and messages are AWS's own.
"""
