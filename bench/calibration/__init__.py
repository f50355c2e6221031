"""How true this machine's load generator is: Locust and our user against a server that knows the truth.

`truth` is that server, `probe` plays one load level against it and joins both sides, `calibrate` goes up the
levels and keeps the result for the reports, `compare` sets our user beside others.
"""
