"""AWS's APIs: clients, errors, resource kinds, secrets, CloudWatch.

The lowest layer of `deploy`. Every peculiarity of an AWS API is handled here, in one place.
"""
