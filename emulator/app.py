"""All services on one port: verify who asks, meet the fault that is set, run the operation, answer."""

import logging
from collections.abc import Callable
from typing import Any

import gevent

from emulator import components, hub, local_api, runtime, sagemaker
from emulator.account import ACCOUNT_ID
from emulator.context import Context, World
from emulator.errors import ApiError
from emulator.faults import OF_THE_ENDPOINT, Fault, immediate_error
from emulator.http import Request, Response, cut
from emulator.protocols import SERVICES, Call, not_served, read_call, refusal, write_error, write_result
from emulator.services import identity, metrics, pricing, quotas, registry, scheduler, secrets
from emulator.shapes import check_input, operation_model
from emulator.signing import RefusedError, Scope, claimed_service, utc_now, verify, verify_bearer

Operation = Callable[[Context, dict[str, Any]], dict[str, Any]]
OPERATIONS: dict[str, dict[str, Operation]] = {
    "sagemaker": sagemaker.OPERATIONS | components.OPERATIONS | hub.OPERATIONS,
    "sts": identity.STS,
    "iam": identity.IAM,
    "service-quotas": quotas.OPERATIONS,
    "pricing": pricing.OPERATIONS,
    "cloudwatch": metrics.OPERATIONS,
    "scheduler": scheduler.OPERATIONS,
    "secretsmanager": secrets.OPERATIONS,
    "ecr": registry.OPERATIONS,
}
"""All that is served here: service and operation in botocore's names."""
_NAME_MEMBERS = (
    "EndpointName",
    "EndpointConfigName",
    "ModelName",
    "InferenceComponentName",
    "ResourceArn",
    "Name",
)
_SIGNED_FOR = "sagemaker"
"""The service in the scope of an invocation's signature."""
_BEARER = "Bearer "
_log = logging.getLogger("emulator")


def make_app(world: World) -> Callable[[Request], Response]:
    """The application that serves ``world``."""

    def app(request: Request) -> Response:
        if request.path.startswith(local_api.PREFIX):
            return local_api.serve(world, request)
        wanted = runtime.route(request.path)
        service = "sagemaker-runtime" if wanted else _service(request)
        if service is None:
            return not_served(claimed_service(request.headers) or "", request)
        try:
            return _invoke(world, wanted, request) if wanted else _operate(world, service, request)
        except RefusedError as refused:
            return write_error(service, refusal(service, refused))
        except ApiError as error:
            return write_error(service, error)
        except ConnectionError:
            raise  # the connection is gone or was cut on purpose: nobody is left to answer
        except Exception:  # noqa: BLE001 - the edge of the process: AWS answers 500, the log has the trace
            _log.exception("%s %s", request.method, request.path)
            return write_error(service, ApiError("InternalFailure", "See the log of emulator.", 500))

    return app


def _service(request: Request) -> str | None:
    """Whom a request is for; None for a service of AWS that this machine does not have."""
    if request.headers.get("authorization", "").startswith(_BEARER):
        return "sagemaker-runtime"
    claimed = claimed_service(request.headers)
    return SERVICES.get(claimed) if claimed else "sagemaker"


def _operate(world: World, service: str, request: Request) -> Response:
    if service == "sagemaker-runtime":  # a bearer token, on a path that is not the route's
        verify_bearer(request.headers["authorization"].removeprefix(_BEARER), world.keys, utc_now())
        served = "only POST …/openai/v1/chat/completions is served on this machine"
        raise ApiError("UnknownOperationException", f"{request.method} {request.path}: {served}", 404)
    scope = verify(request, world.keys, utc_now())
    if SERVICES.get(scope.service) != service:
        raise RefusedError(
            "mismatch", f"Credential should be scoped to a known service, not {scope.service!r}."
        )
    call = read_call(service, request)
    fault, record = world.faults.meet(service, call.operation)
    record.members = call.members
    record.name = next((str(call.members[key]) for key in _NAME_MEMBERS if key in call.members), None)
    try:
        response = write_result(call, _run(world, scope, call, fault, request))
    except ApiError as error:
        record.status, record.error = error.status, error.code
        raise
    record.status = response.status
    return _unless_dropped(fault, request, response)


def _run(world: World, scope: Scope, call: Call, fault: Fault | None, request: Request) -> dict[str, Any]:
    operation = OPERATIONS.get(call.service, {}).get(call.operation)
    if operation is None:
        raise ApiError("UnknownOperationException", f"{call.operation} is not served on this machine", 501)
    members = check_input(operation_model(call.service, call.operation).input_shape, call.members)
    if fault is not None:
        _apply(fault, call.service, _arn(scope, call), request)
    passed_on = fault if fault is not None and fault.fault in OF_THE_ENDPOINT else None
    return operation(Context(world, world.region(scope.region), passed_on), members)


def _invoke(world: World, wanted: runtime.Route, request: Request) -> Response:
    authorization = request.headers.get("authorization", "")
    if wanted.operation == "ChatCompletions":
        if not authorization.startswith(_BEARER):
            raise RefusedError("missing", "Missing Authentication Token")
        scope = verify_bearer(authorization.removeprefix(_BEARER), world.keys, utc_now())
    else:
        scope = verify(request, world.keys, utc_now())
        if scope.service != _SIGNED_FOR:
            raise RefusedError(
                "mismatch", f"Credential should be scoped to correct service: '{_SIGNED_FOR}'."
            )
    fault, record = world.faults.meet("sagemaker-runtime", wanted.operation)
    record.name = wanted.endpoint
    try:
        if fault is not None:
            _apply(fault, "sagemaker-runtime", wanted.endpoint, request)
        response = runtime.invoke(Context(world, world.region(scope.region), fault), wanted, request)
    except ApiError as error:
        record.status, record.error = error.status, error.code
        raise
    record.status = response.status
    return _unless_dropped(fault, request, response)


def _apply(fault: Fault, service: str, arn: str, request: Request) -> None:
    """Do what a fault does before the call is carried out."""
    if fault.fault == "delay":
        gevent.sleep(fault.seconds)
    if fault.fault == "drop_connection" and fault.when == "before":
        raise cut(request.connection)
    if error := immediate_error(fault, service, arn):
        raise error


def _unless_dropped(fault: Fault | None, request: Request, response: Response) -> Response:
    """The answer, or a cut connection in its place: the call was carried out, but nobody hears of it."""
    if fault is None or fault.fault != "drop_connection":
        return response
    if not isinstance(response.body, bytes):
        response.body.close()
    raise cut(request.connection)


def _arn(scope: Scope, call: Call) -> str:
    name = next((call.members[key] for key in _NAME_MEMBERS if key in call.members), "")
    return f"arn:aws:sagemaker:{scope.region}:{ACCOUNT_ID}:{call.operation}/{name}"
