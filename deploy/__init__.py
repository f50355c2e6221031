"""Endpoints on Amazon SageMaker: planned, priced, created, awaited, watched and always removed again.

Plain botocore clients throughout, so the same code serves an account in AWS and any server that speaks its
API (`deploy.local` is one; nothing here knows it). Start at `endpoint.deployed`; `resolve.targets` says what
a plan comes to, `preflight` whether it would work, `price` and `estimate` what it costs, `teardown` removes
what is left.
Used by `bench` only. Never imports locust or gevent.
"""
