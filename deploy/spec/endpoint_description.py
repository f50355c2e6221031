"""The container that serves an endpoint, read from the endpoint's description."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from configs.containers import Family, context_length, family_of, served_model_id


@dataclass(frozen=True)
class RunningContainer:
    """The container behind an endpoint, as far as the description shows it."""

    image: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    resource: str | None = None
    """The name of the SageMaker model."""

    @property
    def family(self) -> Family | None:
        """The container's family; None where it is not known."""
        return family_of(self.image or "", self.environment)

    @property
    def model(self) -> str | None:
        """The model id from the container's variables, else the name of the SageMaker model."""
        return served_model_id(self.environment) or self.resource

    @property
    def context_length(self) -> int | None:
        """In tokens; None where no variable sets it."""
        return context_length(self.environment)


def running_container(description: Mapping[str, Any], component: str | None = None) -> RunningContainer:
    """The container that serves the load.

    Args:
        description: of the endpoint, its configuration, models and inference components, as
            `EndpointDescriber.describe` returns it and `Deployment.description` holds it.
        component: the inference component that serves the load; None for the endpoint's own model, or for
            the only component.
    """
    parts = {
        str(part.get("InferenceComponentName")): part for part in description.get("inference_components", ())
    }
    models = {str(model.get("ModelName")): model for model in description.get("models", ())}
    part = parts.get(component or "") or (next(iter(parts.values())) if len(parts) == 1 else {})
    specification = part.get("Specification") or {}
    if definition := specification.get("Container"):
        image = definition.get("Image") or (definition.get("DeployedImage") or {}).get("SpecifiedImage")
        return RunningContainer(
            image, definition.get("Environment") or {}, specification.get("ModelName") or component
        )
    name = specification.get("ModelName")
    model = models.get(str(name)) if name else next(iter(models.values()), None)
    if not model:
        return RunningContainer(resource=name)
    container: dict[str, Any] = model.get("PrimaryContainer") or next(iter(model.get("Containers") or ()), {})
    image = container.get("Image") or (container.get("DeployedImage") or {}).get("SpecifiedImage")
    return RunningContainer(image, container.get("Environment") or {}, model.get("ModelName"))
