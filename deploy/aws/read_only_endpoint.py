"""Describes an existing endpoint through a client that refuses everything else."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import UserError
from configs.secrets import redacted
from deploy.aws.clients import Clients
from deploy.aws.errors import classify, user_error, user_message

ALLOWED = frozenset({
    "DescribeEndpoint",
    "DescribeEndpointConfig",
    "DescribeModel",
    "DescribeInferenceComponent",
    "ListInferenceComponents",
})  # fmt: skip


_SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack")
"""While AWS updates or rolls back an endpoint, the previous version serves."""


class EndpointDescriber:
    """Describes an endpoint. Its client refuses every operation not in `ALLOWED`, before signing."""

    def __init__(self, clients: Clients) -> None:
        self.region = clients.region
        self._client: Any = clients.session.create_client(
            "sagemaker", region_name=clients.region, config=clients.config
        )
        self._client.meta.events.register("provide-client-params.sagemaker", _refuse_changes)

    def endpoint(self, name: str) -> dict[str, Any]:
        """DescribeEndpoint. Raises what botocore raises."""
        return _answer(self._client.describe_endpoint(EndpointName=name))

    def describe(self, name: str) -> dict[str, Any]:
        """Endpoint, configuration, models and components, as far as permissions allow, secrets redacted.

        Raises:
            UserError: the endpoint does not exist or is not in service, or the credentials are refused.
        """
        try:
            endpoint = self.endpoint(name)
        except (ClientError, BotoCoreError) as error:
            if classify(error) == "missing":
                raise UserError(
                    f"there is no endpoint {name} in {self.region}", "check endpoint.name and the region"
                ) from error
            if classify(error) == "credentials":
                raise user_error(error, f"describing endpoint {name}") from error
            return {"not_described": user_message(error, f"describing endpoint {name}")}
        if endpoint["EndpointStatus"] not in _SERVING:
            raise UserError(
                f"endpoint {name} is {endpoint['EndpointStatus']} and cannot be invoked",
                "wait until it is InService",
            )
        description: dict[str, Any] = {"endpoint": endpoint}
        try:
            description["endpoint_config"] = _answer(
                self._client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
            )
            variants = description["endpoint_config"]["ProductionVariants"]
            description["inference_components"] = [
                _answer(
                    self._client.describe_inference_component(
                        InferenceComponentName=part["InferenceComponentName"]
                    )
                )
                for part in self.components(name)
            ]
            description["models"] = [
                _answer(self._client.describe_model(ModelName=model))
                for model in _model_names([*variants, *description["inference_components"]])
            ]
        except (ClientError, BotoCoreError) as error:
            description["not_described"] = user_message(error, f"describing the parts of endpoint {name}")
        redacted_description: dict[str, Any] = plain(redacted(description))
        return redacted_description

    def components(self, endpoint: str) -> list[dict[str, Any]]:
        """Summaries of the endpoint's inference components. Raises what botocore raises."""
        pages = self._client.get_paginator("list_inference_components").paginate(EndpointNameEquals=endpoint)
        return [summary for page in pages for summary in page["InferenceComponents"]]


def _model_names(parts: list[dict[str, Any]]) -> list[str]:
    """The models that variants and components name, each once, in order."""
    names = [part.get("ModelName") or part.get("Specification", {}).get("ModelName") for part in parts]
    return list(dict.fromkeys(name for name in names if name))


def plain(value: Any) -> Any:
    """A botocore answer in JSON's types: times become ISO 8601 text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def _refuse_changes(model: Any, **_: object) -> None:
    if model.name not in ALLOWED:
        raise PermissionError(f"{model.name} is not allowed: this suite did not create the endpoint")
