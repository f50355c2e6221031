"""How accurate this machine's load generator is: the real load against a server that knows the truth.

`truth` is that server, `probe` plays one load level against it and joins both sides, `calibrate` increases
the concurrency and keeps the result for the reports, `compare` compares our user with others.
"""
