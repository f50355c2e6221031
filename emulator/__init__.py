"""SageMaker on this machine: AWS's own API over loopback, for runs without an account and for rehearsals.

``python -m emulator`` serves the control plane, the runtime and the few other AWS services that a run
calls, on one port; `process.LocalSageMaker` starts it from Python. Nothing outside this package knows that it
is local: the only switch is the standard ``AWS_ENDPOINT_URL``.

==================  ===================================================================================
`serve`, `app`      the process and its one port: verify (`signing`), read (`protocols`, `shapes`),
                    meet a fault (`faults`), answer
`sagemaker`         models, endpoint configs, endpoints, tags; `components`, `hub` beside it
`lifecycle`         Creating → InService or Failed, Deleting → gone; containers by `hosting`
`runtime`           the three invocation routes; `exchange` with the container, `eventstream` to the client
`containers`        what stands in for an image: a simulated GPU, or a real small model (`model`)
`services`          STS, IAM, Service Quotas, Price List, CloudWatch, Scheduler, Secrets Manager
`local_api`         routes of its own, for tests: state, faults, settings
==================  ===================================================================================

Not here: UpdateEndpoint, auto-scaling, asynchronous and serverless inference, S3 (model data are not read),
IAM policies (who has the key may do everything), metric math, and restarts of a container that died.
"""
