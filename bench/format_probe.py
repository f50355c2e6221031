"""Find the request schema that an endpoint understands, and whether it streams, by short requests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from common.errors import UserError
from configs.containers import WireSchema
from configs.experiment import Experiment, length_parameter
from configs.payload import PayloadRow
from deploy.aws.clients import Clients
from deploy.aws.errors import as_user_error, aws_message
from locustfiles.client.answer_parser import AnswerError, AnswerParser
from locustfiles.client.request_bodies import BodyFactory

_SCHEMAS: tuple[WireSchema, ...] = ("openai", "completions", "tgi", "lmi")
_QUESTION = "Name three seas."
_TOKENS = 16
_OF_THE_CONTAINER = ("ModelError", "ModelStreamError")
"""Codes of answers that the container gave: another schema may suit it better."""


@dataclass(frozen=True)
class FoundFormat:
    """What an endpoint answered to."""

    schema: WireSchema
    stream: bool


class _RefusedError(Exception):
    """The container does not understand the request, or its answer cannot be read."""


def find_format(clients: Clients, experiment: Experiment) -> FoundFormat:
    """The first schema that gets a readable answer: streamed if any does, the experiment's own before others.

    Raises:
        UserError: none does, or the endpoint cannot be invoked at all.
    """
    first = ""
    for stream in (True, False):
        for schema in dict.fromkeys((experiment.request_schema, *_SCHEMAS)):
            try:
                _ask(clients, experiment, schema, stream=stream)
            except _RefusedError as error:
                first = first or str(error)
            else:
                return FoundFormat(schema, stream)
    raise UserError(
        f"{experiment.endpoint_name} gave no answer that can be read, in any of the schemas "
        f"{', '.join(_SCHEMAS)} (the first attempt: {first})",
        "if it is not an LLM, send whole bodies: workload.schema raw or embeddings (docs/formats.md)",
    )


def _ask(clients: Clients, experiment: Experiment, schema: WireSchema, *, stream: bool) -> None:
    factory = BodyFactory(
        [PayloadRow("probe", _QUESTION, None)],
        schema=schema,
        route="invocations",
        stream=stream,
        parameters={length_parameter(schema): _TOKENS},
        unique_prefix=False,
    )
    parser = AnswerParser(stream=stream)
    with as_user_error(f"invoking endpoint {experiment.endpoint_name}"):
        try:
            for data in _answer(clients, experiment, factory.complete[0].data, stream=stream):
                parser.feed(data, 0.0)
            parser.finish(0.0)
        except AnswerError as error:
            raise _RefusedError(str(error)) from None
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _OF_THE_CONTAINER:
                raise
            raise _RefusedError(aws_message(error)) from None


def _answer(clients: Clients, experiment: Experiment, body: bytes, *, stream: bool) -> Iterator[bytes]:
    runtime = clients.client("sagemaker-runtime")
    members: dict[str, Any] = {
        "EndpointName": experiment.endpoint_name,
        "ContentType": "application/json",
        "Body": body,
        **({"InferenceComponentName": experiment.component} if experiment.component else {}),
        **experiment.headers,
    }
    if not stream:
        yield runtime.invoke_endpoint(**members)["Body"].read()
        return
    for event in runtime.invoke_endpoint_with_response_stream(**members)["Body"]:
        yield event.get("PayloadPart", {}).get("Bytes", b"")
