"""The load: users that sign, send and time invocations, and steps that change the number of users.

`experiment` is the locustfile of `bench` and `launch` builds the command line that runs it; `launch` does not
import Locust and is the entry point for other packages. `sagemaker` is the locustfile for plain Locust, and
`user` has the base class for people's own locustfiles. `client` makes one invocation, `worker` and `master`
are the two sides of a run, and `messages` defines the messages between them. The result is a run folder.
"""
