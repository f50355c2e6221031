"""Check, before the load, that the endpoint's container opens the sessions that the plan asks for."""

import json
from typing import Any

from botocore.exceptions import ClientError

from common.errors import UserError
from common.text import one_line
from configs.conversation import Sticky
from configs.experiment import Experiment
from deploy.aws.clients import Clients
from deploy.aws.errors import as_user_error, aws_message
from locustfiles.client.session_id import NEW_SESSION, read_session

_OF_THE_CONTAINER = "ModelError"
_REMEDY = (
    "enable stateful sessions in the container (docs/conversations.md#stickiness), write its own request as "
    "workload.sticky.{key}, or leave workload.sticky out"
)


def check_sessions(clients: Clients, experiment: Experiment, sticky: Sticky) -> int:
    """Open a session and close it again; gives the number of invocations.

    Raises:
        UserError: the container opens none or does not close it, or the endpoint cannot be invoked at all.
    """
    runtime = clients.client("sagemaker-runtime")
    answer = _invoke(runtime, experiment, NEW_SESSION, sticky.open)
    granted = answer.get("NewSessionId", "")
    session = read_session(granted)
    if session is None:
        raise UserError(
            f"{experiment.endpoint_name} opened no session: its container answered "
            f"{json.dumps(sticky.open)} {f'with the id {granted!r}' if granted else 'without a session id'}",
            _REMEDY.format(key="open"),
        )
    if sticky.close is None:
        return 1
    _invoke(runtime, experiment, session.id, sticky.close)
    return 2


def _invoke(runtime: Any, experiment: Experiment, session: str, body: dict[str, Any]) -> dict[str, Any]:
    members = {
        "EndpointName": experiment.endpoint_name,
        "ContentType": "application/json",
        "Body": json.dumps(body),
        "SessionId": session,
        **({"InferenceComponentName": experiment.component} if experiment.component else {}),
        **experiment.headers,
    }
    with as_user_error(f"invoking endpoint {experiment.endpoint_name}"):
        try:
            answer: dict[str, Any] = runtime.invoke_endpoint(**members)
            answer["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != _OF_THE_CONTAINER:
                raise
            key, did = ("open", "opened no") if session == NEW_SESSION else ("close", "did not close the")
            said = one_line(str(error.response.get("OriginalMessage") or aws_message(error)))
            finding = f"{experiment.endpoint_name} {did} session: its container refused {json.dumps(body)}"
            raise UserError(f"{finding} ({said})", _REMEDY.format(key=key)) from None
    return answer
