"""Let the endpoint count the tokens of some prompts, before the load begins."""

from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from configs.containers import WireSchema
from configs.experiment import Experiment, length_parameter
from configs.payload import PayloadRow
from configs.workload import MAX_TOKENS_KEYS
from deploy.aws.clients import Clients
from locustfiles.client.answer_parser import AnswerError, AnswerParser
from locustfiles.client.request_bodies import BodyFactory, spoken_row

_ENDINGS = frozenset({"ignore_eos", "ignore_eos_token", "min_tokens", "min_new_tokens", "stream_options"})


class NoCountsError(Exception):
    """The endpoint does not say how many tokens a prompt has; the message says why."""

    def __init__(self, message: str, sent: int) -> None:
        super().__init__(message)
        self.sent = sent
        """Requests that were sent until then."""


def count_prompts(clients: Clients, experiment: Experiment, prompts: Sequence[str]) -> list[int]:
    """The prompt tokens of each prompt as the endpoint counts them in its ``usage``, with its chat template.

    Each is one request for a single token, sent by InvokeEndpoint, whatever the experiment's route.

    Raises:
        NoCountsError: it refuses a request, or its answers have no count.
    """
    rows = [PayloadRow(f"probe-{number}", prompt, None) for number, prompt in enumerate(prompts)]
    return _count(clients, experiment, rows)


def count_turns(clients: Clients, experiment: Experiment, said: Sequence[Sequence[str]]) -> list[int]:
    """As `count_prompts`, of conversations: what user and model said in turn, the user first and last."""
    rows = []
    for number, texts in enumerate(said):
        messages = [
            {"role": "assistant" if place % 2 else "user", "content": text}
            for place, text in enumerate(texts)
        ]
        rows.append(spoken_row(f"probe-turns-{number}", messages, experiment.request_schema))
    return _count(clients, experiment, rows)


def _count(clients: Clients, experiment: Experiment, rows: Sequence[PayloadRow]) -> list[int]:
    runtime = clients.client("sagemaker-runtime")
    members = {"InferenceComponentName": experiment.component} if experiment.component else {}
    bodies = BodyFactory(
        rows,
        schema=experiment.request_schema,
        route="invocations",
        stream=False,
        parameters=_parameters(experiment),
        unique_prefix=False,
    )
    counts: list[int] = []
    for sent, body in enumerate(bodies.complete, 1):
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=experiment.endpoint_name,
                ContentType="application/json",
                Body=body.data,
                **members,
                **experiment.headers,
            )
            content = answer["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise NoCountsError(f"it refused a request ({error})", sent) from None
        try:
            count = prompt_tokens(content, experiment.request_schema)
        except AnswerError as error:
            raise NoCountsError(f"its answer cannot be read ({error})", sent) from None
        if not count:
            raise NoCountsError("its answers have no count of prompt tokens", sent)
        counts.append(count)
    return counts


def _parameters(experiment: Experiment) -> dict[str, object]:
    schema = experiment.request_schema
    others = {
        key: value for key, value in experiment.parameters.items() if key not in MAX_TOKENS_KEYS | _ENDINGS
    }
    if schema in ("raw", "embeddings"):
        return others
    # TGI and LMI list the prompt's tokens only on request.
    details = {"decoder_input_details": True} if schema in ("tgi", "lmi") else {}
    return others | details | {length_parameter(schema): 1}


def prompt_tokens(content: bytes, schema: WireSchema) -> int | None:
    """The count of prompt tokens in an answer that was not streamed; None if it has none.

    Raises:
        AnswerError: the answer has no known format, or holds an error.
    """
    parser = AnswerParser(stream=False, raw=schema in ("raw", "embeddings"))
    try:
        parser.feed(content, 0.0)
        parser.finish(0.0)
    except AnswerError as error:
        if error.error_class != "empty":  # a single token may be the end of sequence
            raise
    return parser.answer.usage.prompt_tokens
