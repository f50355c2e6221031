"""The load: users that sign, send and time invocations, and steps that raise the load level by level.

`sagemaker` is the locustfile and `launch` the command line that plays it (the only part that others need to
import; it does not import Locust). Everything else runs under Locust on gevent: `transport` → `reading` →
`invocation` → `user` on the way of one request; `steps`, `recorder` and `collector` carry the run. Only
`bench` may use this room; what it leaves behind is the run folder.
"""
