"""All services on one port: verify the signature, inject a fault if one is set, run the operation."""

import logging
from collections.abc import Callable
from typing import Any

import gevent

from emulator import components, hub, local_api, runtime, sagemaker
from emulator.account import ACCOUNT_ID
from emulator.context import AccountState, Context, Operation
from emulator.errors import ApiError
from emulator.faults import ENDPOINT_FAULTS, Fault, immediate_error
from emulator.http import HttpRequest, HttpResponse, cut_connection
from emulator.protocols import (
    SERVICES,
    Call,
    read_call,
    refusal_error,
    write_error,
    write_result,
    write_unsupported_service,
)
from emulator.services import (
    identity,
    metrics,
    network,
    pricing,
    quotas,
    registry,
    scheduler,
    secrets,
    stacks,
)
from emulator.shapes import check_input, operation_model
from emulator.signing import RefusedError, Scope, claimed_service, utc_now, verify, verify_bearer

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
    "cloudformation": stacks.OPERATIONS,
    "ec2": network.OPERATIONS,
}
"""Every supported operation by service; names are botocore's."""
_NAME_MEMBERS = (
    "EndpointName",
    "EndpointConfigName",
    "ModelName",
    "InferenceComponentName",
    "ResourceArn",
    "StackName",
    "SecretId",
    "Name",
)
_SIGNING_NAME = "sagemaker"
"""The service in the scope of an invocation's signature."""
_BEARER = "Bearer "
_log = logging.getLogger("emulator")


def make_app(account: AccountState) -> Callable[[HttpRequest], HttpResponse]:
    """The application that serves ``account`` to `emulator.http.make_server`."""

    def app(request: HttpRequest) -> HttpResponse:
        if request.path.startswith(local_api.PREFIX):
            return local_api.serve(account, request)
        route = runtime.match_route(request.path)
        service = "sagemaker-runtime" if route else _service_of(request)
        if service is None:
            return write_unsupported_service(claimed_service(request.headers) or "", request)
        try:
            return _invoke(account, route, request) if route else _operate(account, service, request)
        except RefusedError as refused:
            return write_error(service, refusal_error(service, refused))
        except ApiError as error:
            return write_error(service, error)
        except ConnectionError:
            raise  # the connection is gone or was cut on purpose: there is no client to respond to
        except Exception:  # noqa: BLE001 - the edge of the process: respond with 500 as AWS does, log the trace
            _log.exception("%s %s", request.method, request.path)
            return write_error(service, ApiError("InternalFailure", "See the emulator's log.", 500))

    return app


def _service_of(request: HttpRequest) -> str | None:
    """The service that a request is for; None for an AWS service that the emulator does not have."""
    if request.headers.get("authorization", "").startswith(_BEARER):
        return "sagemaker-runtime"
    claimed = claimed_service(request.headers)
    return SERVICES.get(claimed) if claimed else "sagemaker"


def _operate(account: AccountState, service: str, request: HttpRequest) -> HttpResponse:
    if service == "sagemaker-runtime":  # a bearer token on any other path
        verify_bearer(request.headers["authorization"].removeprefix(_BEARER), account.keys, utc_now())
        supported = "the emulator supports only POST …/openai/v1/chat/completions"
        raise ApiError("UnknownOperationException", f"{request.method} {request.path}: {supported}", 404)
    scope = verify(request, account.keys, utc_now())
    if SERVICES.get(scope.service) != service:
        raise RefusedError(
            "mismatch", f"Credential should be scoped to a known service, not {scope.service!r}."
        )
    call = read_call(service, request)
    fault, record = account.faults.record_call(service, call.operation)
    record.members = call.members
    record.name = next((str(call.members[key]) for key in _NAME_MEMBERS if key in call.members), None)
    try:
        response = write_result(call, _run(account, scope, call, fault, request))
    except ApiError as error:
        record.status, record.error = error.status, error.code
        raise
    record.status = response.status
    return _answer_or_drop(fault, request, response)


def _run(
    account: AccountState, scope: Scope, call: Call, fault: Fault | None, request: HttpRequest
) -> dict[str, Any]:
    operation = OPERATIONS.get(call.service, {}).get(call.operation)
    if operation is None:
        raise ApiError("UnknownOperationException", f"the emulator does not support {call.operation}", 501)
    members = check_input(operation_model(call.service, call.operation).input_shape, call.members)
    if fault is not None:
        _apply_fault(fault, call.service, _resource_arn(scope, call), request)
    later_fault = fault if fault is not None and fault.fault in ENDPOINT_FAULTS else None
    return operation(Context(account, account.region(scope.region), later_fault), members)


def _invoke(account: AccountState, route: runtime.Route, request: HttpRequest) -> HttpResponse:
    authorization = request.headers.get("authorization", "")
    if route.operation == "ChatCompletions":
        if not authorization.startswith(_BEARER):
            raise RefusedError("missing", "Missing Authentication Token")
        scope = verify_bearer(authorization.removeprefix(_BEARER), account.keys, utc_now())
    else:
        scope = verify(request, account.keys, utc_now())
        if scope.service != _SIGNING_NAME:
            raise RefusedError(
                "mismatch", f"Credential should be scoped to correct service: '{_SIGNING_NAME}'."
            )
    fault, record = account.faults.record_call("sagemaker-runtime", route.operation)
    record.name = route.endpoint
    try:
        if fault is not None:
            _apply_fault(fault, "sagemaker-runtime", route.endpoint, request)
        response = runtime.invoke(Context(account, account.region(scope.region), fault), route, request)
    except ApiError as error:
        record.status, record.error = error.status, error.code
        raise
    record.status = response.status
    return _answer_or_drop(fault, request, response)


def _apply_fault(fault: Fault, service: str, arn: str, request: HttpRequest) -> None:
    """Apply what a fault does before the operation runs."""
    if fault.fault == "delay":
        gevent.sleep(fault.seconds)
    if fault.fault == "drop_connection" and fault.when == "before":
        raise cut_connection(request.connection)
    if error := immediate_error(fault, service, arn):
        raise error


def _answer_or_drop(fault: Fault | None, request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response, or a cut connection in its place: the operation ran, but the client gets no response."""
    if fault is None or fault.fault != "drop_connection":
        return response
    if not isinstance(response.body, bytes):
        response.body.close()
    raise cut_connection(request.connection)


def _resource_arn(scope: Scope, call: Call) -> str:
    name = next((call.members[key] for key in _NAME_MEMBERS if key in call.members), "")
    return f"arn:aws:sagemaker:{scope.region}:{ACCOUNT_ID}:{call.operation}/{name}"
