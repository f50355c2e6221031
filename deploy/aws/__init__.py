"""What AWS says and how: clients, errors, resource names, secrets, CloudWatch.

The lowest layer of `deploy`: every peculiarity of an AWS API stands here once.
"""
