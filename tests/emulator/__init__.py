"""Tests of the local SageMaker: unmodified boto3 is the witness, real sockets and processes the means."""
