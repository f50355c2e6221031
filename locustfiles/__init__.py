"""The load: users that sign, send and time invocations, and steps that raise the load level by level.

`sagemaker` is the locustfile and `launch` the command line that plays it; `launch` does not import Locust and
is all that others need. `client` makes one invocation, `worker` and `master` are the two sides of a run, and
`messages` is what they say to each other. Used by `bench` only; leaves behind a run folder.
"""
