"""SageMaker on this machine: AWS's own API over loopback, for runs without an account and for rehearsals.

``python -m deploy.local`` serves the control plane, the runtime and the few other AWS services that a run
calls, on one port; `process.LocalSageMaker` starts it from Python. Containers are child processes that speak
the hosting contract (``/ping``, ``/invocations``). Nothing outside this package knows that it is local: the
only switch is the standard ``AWS_ENDPOINT_URL``.
"""
