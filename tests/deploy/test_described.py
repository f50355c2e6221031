"""What an endpoint serves is read from its own description."""

from typing import Any

import pytest

from deploy.spec.endpoint_description import RunningContainer, running_container

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/vllm:0.30.0"
ENVIRONMENT = {"SM_VLLM_MODEL": "a/b", "SM_VLLM_MAX_MODEL_LEN": "8192"}
CONTAINER = {"Image": IMAGE, "Environment": ENVIRONMENT}


def component(name: str, **specification: Any) -> dict[str, Any]:
    return {"InferenceComponentName": name, "Specification": specification}


@pytest.mark.parametrize(
    ("description", "chosen"),
    [
        ({"models": [{"ModelName": "m", "PrimaryContainer": CONTAINER}]}, None),
        ({"models": [{"ModelName": "m", "Containers": [CONTAINER]}]}, None),
        (
            {
                "models": [
                    {"ModelName": "other", "PrimaryContainer": {}},
                    {"ModelName": "m", "PrimaryContainer": CONTAINER},
                ],
                "inference_components": [
                    component("one", ModelName="other"),
                    component("two", ModelName="m"),
                ],
            },
            "two",
        ),
    ],
)
def test_a_model_shows_its_container(description: dict[str, Any], chosen: str | None) -> None:
    there = running_container(description, chosen)
    assert (there.image, there.family, there.model, there.context_length) == (IMAGE, "vllm", "a/b", 8192)


def test_a_component_may_have_a_container_of_its_own() -> None:
    own = {"DeployedImage": {"SpecifiedImage": IMAGE}, "Environment": {}}
    there = running_container({"inference_components": [component("one", Container=own)]}, "one")
    assert (there.image, there.model) == (IMAGE, "one")


@pytest.mark.parametrize("description", [{}, {"not_described": "denied"}, {"models": []}])
def test_what_was_not_described_is_not_known(description: dict[str, Any]) -> None:
    there = running_container(description)
    assert there == RunningContainer()
    assert (there.family, there.model, there.context_length) == (None, None, None)
