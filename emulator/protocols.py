"""AWS's wire protocols, as far as the supported services use them: json, query, ec2 and rest-json."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from botocore.model import OperationModel, Shape

from emulator.errors import ApiError
from emulator.forms import read_form, write_xml
from emulator.http import HttpRequest, HttpResponse
from emulator.shapes import encode_output, operation_model, service_model
from emulator.signing import Refusal, RefusedError

SERVICES = {
    "sagemaker": "sagemaker",
    "sts": "sts",
    "iam": "iam",
    "servicequotas": "service-quotas",
    "pricing": "pricing",
    "monitoring": "cloudwatch",
    "scheduler": "scheduler",
    "secretsmanager": "secretsmanager",
    "ecr": "ecr",
    "cloudformation": "cloudformation",
    "ec2": "ec2",
}
"""Signing name of each service → its name in botocore."""
_FORMS = ("query", "ec2")
"""Protocols whose requests are forms and whose responses are XML."""
_REFUSALS: dict[Refusal, tuple[str, str]] = {
    "missing": ("MissingAuthenticationTokenException", "MissingAuthenticationToken"),
    "incomplete": ("IncompleteSignatureException", "IncompleteSignature"),
    "unknown_key": ("UnrecognizedClientException", "InvalidClientTokenId"),
    "mismatch": ("InvalidSignatureException", "SignatureDoesNotMatch"),
    "expired_token": ("ExpiredTokenException", "ExpiredToken"),
}
"""Kind of refusal → its error code in json and rest-json, and in query."""


@dataclass(frozen=True)
class Call:
    """One API call: service and operation in botocore's names, and members that are not validated yet."""

    service: str
    operation: str
    members: dict[str, Any]


def protocol_of(service: str) -> str:
    """The service's protocol: ``json``, ``query``, ``ec2`` or ``rest-json``."""
    name: str = service_model(service).resolved_protocol
    return name


def read_call(service: str, request: HttpRequest) -> Call:
    """The operation that a request calls, with its members.

    Raises:
        ApiError: the operation does not exist, or the body cannot be read.
    """
    protocol = protocol_of(service)
    if protocol == "json":
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        return Call(service, _check_operation(service, operation), _json(request.body))
    if protocol in _FORMS:
        fields = {key: values[-1] for key, values in parse_qs(request.body.decode("utf-8")).items()}
        operation = _check_operation(service, fields.pop("Action", ""))
        fields.pop("Version", None)
        return Call(service, operation, read_form(operation_model(service, operation).input_shape, fields))
    return _read_rest(service, request)


def write_result(call: Call, result: dict[str, Any]) -> HttpResponse:
    """A successful response in the service's protocol."""
    model = service_model(call.service).operation_model(call.operation)
    request_id = str(uuid.uuid4())
    if protocol_of(call.service) in _FORMS:
        inner = write_xml(model.output_shape, result)
        name = call.operation
        if protocol_of(call.service) == "ec2":
            content = f"<requestId>{request_id}</requestId>{inner}"
        else:
            content = (
                f"<{name}Result>{inner}</{name}Result>"
                f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
            )
        namespace = service_model(call.service).metadata["xmlNamespace"]
        body = f'<{name}Response xmlns="{namespace}">{content}</{name}Response>'
        return HttpResponse(200, {"Content-Type": "text/xml", "x-amzn-RequestId": request_id}, body.encode())
    content_type = (
        "application/json" if protocol_of(call.service) == "rest-json" else _json_type(call.service)
    )
    body = json.dumps(encode_output(model.output_shape, result))
    return HttpResponse(200, {"Content-Type": content_type, "x-amzn-RequestId": request_id}, body.encode())


def write_error(service: str, error: ApiError) -> HttpResponse:
    """An error in the service's protocol, with ``x-amzn-ErrorType`` where the protocol has it."""
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": request_id}
    if protocol_of(service) == "ec2":
        inner = f"<Code>{error.code}</Code><Message>{escape(error.message or '')}</Message>"
        tail = f"<RequestID>{request_id}</RequestID>"
        body = f"<Response><Errors><Error>{inner}</Error></Errors>{tail}</Response>"
        return HttpResponse(error.status, {**headers, "Content-Type": "text/xml"}, body.encode())
    if protocol_of(service) == "query":
        fault = "Sender" if error.status < 500 else "Receiver"
        body = (
            f'<ErrorResponse xmlns="{service_model(service).metadata["xmlNamespace"]}"><Error>'
            f"<Type>{fault}</Type><Code>{error.code}</Code>"
            f"<Message>{escape(error.message or '')}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return HttpResponse(error.status, {**headers, "Content-Type": "text/xml"}, body.encode())
    if protocol_of(service) == "rest-json":
        headers |= {"x-amzn-ErrorType": error.code, "Content-Type": "application/json"}
        content = {"message": error.message, **error.fields}
    else:
        headers |= {"Content-Type": _json_type(service)}
        content = {"__type": error.code, "message": error.message, **error.fields}
    return HttpResponse(error.status, headers, json.dumps(content).encode())


def write_unsupported_service(service: str, request: HttpRequest) -> HttpResponse:
    """The error for an AWS service that the emulator does not have, in the protocol of the request."""
    code, request_id = "NotServedHere", str(uuid.uuid4())
    message = f"The emulator does not have the service {service}; it has {', '.join(SERVICES)}."
    headers = {"x-amzn-RequestId": request_id}
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if service == "s3" or form:
        error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
        tail = f"<RequestId>{request_id}</RequestId>"
        body = (
            f"<Error>{error}{tail}</Error>"
            if service == "s3"
            else f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error>{tail}</ErrorResponse>"
        )
        return HttpResponse(501, {**headers, "Content-Type": "text/xml"}, body.encode())
    headers |= {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return HttpResponse(501, headers, json.dumps({"__type": code, "message": message}).encode())


def refusal_error(service: str, refused: RefusedError) -> ApiError:
    """The error of a service's protocol for a request that is not signed correctly."""
    json_code, query_code = _REFUSALS[refused.kind]
    code = query_code if protocol_of(service) in _FORMS else json_code
    return ApiError(code, refused.message, 403)


def _check_operation(service: str, operation: str) -> str:
    if operation not in service_model(service).operation_names:
        raise ApiError(
            "UnknownOperationException", f"The requested operation is not known: {operation!r}", 404
        )
    return operation


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}")
    except (ValueError, UnicodeDecodeError):
        raise ApiError("SerializationException", "The request body is not JSON") from None
    if not isinstance(content, dict):
        raise ApiError("SerializationException", "Start of structure or map found where not expected.")
    return content


def _json_type(service: str) -> str:
    return f"application/x-amz-json-{service_model(service).metadata['jsonVersion']}"


def _read_rest(service: str, request: HttpRequest) -> Call:
    for pattern, method, operation in _routes(service):
        if method == request.method and (match := pattern.fullmatch(request.path)):
            model = service_model(service).operation_model(operation)
            members = {name: unquote(value) for name, value in match.groupdict().items()}
            members |= _query_members(model, request.query)
            if request.body:
                members |= _json(request.body)
            return Call(service, operation, members)
    raise ApiError("UnknownOperationException", f"No operation at {request.method} {request.path}", 404)


@lru_cache
def _routes(service: str) -> tuple[tuple[re.Pattern[str], str, str], ...]:
    model = service_model(service)
    routes = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = http["requestUri"].partition("?")[0]
        for key, member in _members(model.operation_model(name)).items():
            if member.serialization.get("location") == "uri":
                placeholder = member.serialization.get("name", key)
                path = path.replace(f"{{{placeholder}}}", f"(?P<{key}>[^/]+)")
        routes.append((re.compile(path), http["method"], name))
    return tuple(routes)


def _members(model: OperationModel) -> Mapping[str, Shape]:
    return model.input_shape.members if model.input_shape else {}


def _query_members(model: OperationModel, query: str) -> dict[str, Any]:
    values: Mapping[str, list[str]] = parse_qs(query)
    members: dict[str, Any] = {}
    for key, member in _members(model).items():
        name = member.serialization.get("name", key)
        if member.serialization.get("location") == "querystring" and name in values:
            text = values[name][-1]
            members[key] = int(text) if member.type_name in ("integer", "long") else text
    return members
