"""What an endpoint serves, read from its own description."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from configs.containers import Family, context_length, family_of, served_model_id


@dataclass(frozen=True)
class Served:
    """The container behind an endpoint, as far as its description shows it."""

    image: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    resource: str | None = None
    """The name of SageMaker's model."""

    @property
    def family(self) -> Family | None:
        """The container's family; None where it is not known."""
        return family_of(self.image or "", self.environment)

    @property
    def model(self) -> str | None:
        """The model's id where the container's variables name it, else the name of SageMaker's model."""
        return served_model_id(self.environment) or self.resource

    @property
    def context_length(self) -> int | None:
        """In tokens; None where no variable sets it."""
        return context_length(self.environment)


def served(description: Mapping[str, Any], component: str | None = None) -> Served:
    """The container that answers the load.

    Args:
        description: of the endpoint, its configuration, models and inference components, as
            `EndpointReader.describe` and `Deployment.description` have it.
        component: the inference component that the load goes to; None for the endpoint's own model, or for
            the only component.
    """
    parts = {
        str(part.get("InferenceComponentName")): part for part in description.get("inference_components", ())
    }
    models = {str(model.get("ModelName")): model for model in description.get("models", ())}
    part = parts.get(component or "") or (next(iter(parts.values())) if len(parts) == 1 else {})
    specification = part.get("Specification") or {}
    if own := specification.get("Container"):
        image = own.get("Image") or (own.get("DeployedImage") or {}).get("SpecifiedImage")
        return Served(image, own.get("Environment") or {}, specification.get("ModelName") or component)
    name = specification.get("ModelName")
    model = models.get(str(name)) if name else next(iter(models.values()), None)
    if not model:
        return Served(resource=name)
    container: dict[str, Any] = model.get("PrimaryContainer") or next(iter(model.get("Containers") or ()), {})
    image = container.get("Image") or (container.get("DeployedImage") or {}).get("SpecifiedImage")
    return Served(image, container.get("Environment") or {}, model.get("ModelName"))
