"""SageMaker on this machine: AWS's API over loopback, for runs without an account and for rehearsals.

``python -m emulator`` serves the control plane, the runtime and the other AWS services that a run calls, on
one port; `process.LocalSageMaker` starts it from Python. Its clients do not know that it is local: they reach
it through the standard ``AWS_ENDPOINT_URL``.

==================  ===================================================================================
`serve`, `app`      the process and its port: verify the signature (`signing`), read the request
                    (`protocols`, `shapes`), inject a fault (`faults`), respond
`account`           the account's resources; `context` holds its settings, quotas and roles
`sagemaker`         models, endpoint configs, endpoints, tags; also `components` and `hub`
`lifecycle`         Creating → InService or Failed, Deleting → gone; `hosting` runs the containers
`runtime`           the three invocation routes; `exchange` talks to the container, `eventstream` encodes
`containers`        what stands in for an image: a simulated GPU, or a real small model (`model`)
`services`          STS, IAM, Service Quotas, Price List, CloudWatch, Scheduler, Secrets Manager, ECR
`local_api`         routes for tests: state, faults, settings
==================  ===================================================================================

Not supported: UpdateEndpoint, auto-scaling, asynchronous and serverless inference, S3 (model data are not
read), IAM policies (the key may do everything), metric math, and restarts of a container that died.
"""
