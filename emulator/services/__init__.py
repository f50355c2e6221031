"""The AWS services besides SageMaker, as far as a run calls them.

``OPERATIONS`` of each module maps an operation's name to its function. Shapes and messages are AWS's.
"""
