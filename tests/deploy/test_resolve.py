"""From a plan to images, environments and data; what cannot be known is asked for in one sentence."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from configs.containers import family_of
from configs.reading import read_plan
from deploy.aws.clients import Clients
from deploy.spec import resolve
from deploy.spec.endpoint_spec import Host
from deploy.spec.images import LLAMA_CPP, families, image_uri
from deploy.spec.jumpstart import parse, version_order
from deploy.spec.resolve import container_for, endpoint_specs
from tests.deploy.harness import IMAGE, Account, plan

AWS = "763104351884.dkr.ecr.us-east-1.amazonaws.com/"
VLLM = AWS + "vllm:0.30.0-gpu-py312-cu130-ubuntu24.04-sagemaker"


def test_a_full_uri_is_taken_as_it_is() -> None:
    assert image_uri(IMAGE, "eu-west-1", "ml.g5.xlarge") == IMAGE


def test_aws_s_own_name_is_completed_for_the_region() -> None:
    expected = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/llama-cpp:server-sagemaker-cpu-v1.0.1"
    assert image_uri(LLAMA_CPP, "eu-west-1", "ml.c6i.large") == expected


@pytest.mark.parametrize(
    ("hint", "family"), [("vllm", "vllm"), ("sglang", "sglang"), ("lmi", "lmi"), ("tgi", "tgi")]
)
def test_a_hint_is_the_sdks_newest_image(hint: str, family: str) -> None:
    uri = image_uri(hint, "us-east-1", "ml.g5.xlarge")
    assert uri.startswith(AWS)
    assert family_of(uri) == family


def test_a_hint_may_name_a_version() -> None:
    assert ":0.29.0-" in image_uri("vllm:0.29.0", "us-east-1", "ml.g5.xlarge")


@pytest.mark.parametrize(
    ("image", "region", "instance", "word"),
    [
        ("vlm", "us-east-1", "ml.g5.xlarge", "vllm, sglang"),
        ("vllm:9.9.9", "us-east-1", "ml.g5.xlarge", "vllm"),
        ("vllm", "us-east-1", "ml.c6i.large", "ml.c6i.large"),
        (LLAMA_CPP, "me-south-1", "ml.c6i.large", "full URI"),
    ],
)
def test_an_image_that_cannot_be_found_is_one_sentence(
    image: str, region: str, instance: str, word: str
) -> None:
    with pytest.raises(UserError, match=word) as caught:
        image_uri(image, region, instance)
    assert "\n" not in str(caught.value)


def test_our_regions_are_those_of_the_sdks_table() -> None:
    table = json.loads((files("sagemaker.core") / "image_uri_config" / "llama-cpp.json").read_text())
    registries = table["versions"]["1.0.1"]["registries"]
    for region, account in registries.items():
        if account == "763104351884":
            assert image_uri(LLAMA_CPP, region, "ml.c6i.large").startswith(account)
        else:
            with pytest.raises(UserError):
                image_uri(LLAMA_CPP, region, "ml.c6i.large")


def hugging_face(**more: Any) -> Any:
    model = {"name": "M", "source": "huggingface", "id": "org/model-7b", "context_length": 8192, **more}
    return plan(model=model).model


@pytest.mark.parametrize("hint", [None, "vllm", "sglang", "lmi", "tgi"])
def test_a_hub_id_is_told_to_each_container_in_its_own_words(hint: str | None, clients: Clients) -> None:
    family = families()[hint or "vllm"]
    environment = container_for(hugging_face(image=hint), "ml.g5.12xlarge", clients).environment
    assert environment[family.model] == "org/model-7b"
    assert environment[family.context] == "8192"
    assert environment[family.gpus or ""] == "4"


def test_the_plans_environment_wins(clients: Clients) -> None:
    model = hugging_face(env={"SM_VLLM_TENSOR_PARALLEL_SIZE": 1})
    assert container_for(model, "ml.g5.12xlarge", clients).environment["SM_VLLM_TENSOR_PARALLEL_SIZE"] == "1"


def test_each_instance_type_is_a_target_and_each_own_model_a_model(clients: Clients) -> None:
    own = {"name": "Other", "source": "image", "image": IMAGE}
    parts = [{"name": "one"}, {"name": "two", "copies": 2}, {"name": "three", "model": own}]
    made = plan(endpoint={"instance_type": ["ml.g5.xlarge", "ml.g6.xlarge"], "components": parts})
    first, second = endpoint_specs(made, "run", clients)
    assert (first.instance_type, second.instance_type) == ("ml.g5.xlarge", "ml.g6.xlarge")
    assert first.name != second.name
    assert len(first.models) == 2
    assert [part.model for part in first.components] == [first.name, first.name, first.models[1].name]
    assert first.component == first.components[0].name


def test_without_a_role_the_plan_is_told_where_to_put_it(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAGEMAKER_ROLE")
    with pytest.raises(UserError, match=r"endpoint\.role"):
        endpoint_specs(plan(), "run", clients)


@pytest.mark.parametrize("key", ["project", "Project", "sagemaker-llm-bench:owner"])
def test_a_tag_by_which_teardown_finds_us_is_not_the_plan_s_to_set(key: str, clients: Clients) -> None:
    chosen = plan(endpoint={"instance_type": "ml.g5.xlarge", "tags": {key: "my-team", "team": "ml"}})
    with pytest.raises(UserError, match=rf"endpoint\.tags\.{key}"):
        endpoint_specs(chosen, "run", clients)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"aws:team": "ml"}, r"endpoint\.tags\.aws:team: AWS reserves"),
        ({"team": "R&D"}, r"endpoint\.tags\.team: 'R&D' is not a valid AWS tag"),
        ({"team": "x" * 257}, r"endpoint\.tags\.team: .* at most 256"),
        ({"x" * 129: ""}, "at most 128"),
        ({f"tag-{index}": "" for index in range(46)}, "46 tags"),
    ],
    ids=["key-of-aws", "character", "long-value", "long-key", "too-many"],
)
def test_a_tag_that_aws_refuses_is_told_before_anything_is_created(
    tags: dict[str, str], said: str, clients: Clients
) -> None:
    with pytest.raises(UserError, match=said):
        endpoint_specs(plan(endpoint={"instance_type": "ml.g5.xlarge", "tags": tags}), "run", clients)


def test_the_plan_s_own_tags_stand_beside_ours(clients: Clients) -> None:
    chosen = plan(endpoint={"instance_type": "ml.g5.xlarge", "tags": {"team": "ml"}})
    tags = endpoint_specs(chosen, "run", clients)[0].tags
    assert (tags["team"], tags["project"]) == ("ml", "sagemaker-llm-bench")


def jumpstart(**more: Any) -> Any:
    model = {"name": "J", "source": "jumpstart", "id": "meta-textgeneration-llama-2-7b", **more}
    return plan(model=model).model


def test_a_jumpstart_model_is_looked_up_in_the_hub(clients: Clients) -> None:
    found = container_for(jumpstart(version="3.*", accept_eula=True), "ml.g5.xlarge", clients)
    assert "tgi" in found.image
    assert (found.model_data or "").startswith("s3://jumpstart")
    assert found.environment["SM_NUM_GPUS"] == "1"
    assert found.accept_eula


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "accept_eula"),
        ({"accept_eula": True, "version": "9.*"}, "9"),
        ({"id": "nothing-like-it"}, "nothing-like-it"),
    ],
)
def test_a_jumpstart_model_that_cannot_be_had_is_one_sentence(
    more: dict[str, Any], word: str, clients: Clients
) -> None:
    with pytest.raises(UserError, match=word) as caught:
        container_for(jumpstart(**more), "ml.g5.xlarge", clients)
    assert "\n" not in str(caught.value)


def test_the_hub_is_not_asked_for_what_the_plan_names(clients: Clients, account: Account) -> None:
    before = len(account.calls())
    model = jumpstart(image=IMAGE, model_data="s3://bucket/model.tar.gz")
    assert container_for(model, "ml.g5.xlarge", clients).image == IMAGE
    assert account.calls(before) == []


def document(**more: Any) -> dict[str, Any]:
    content = {
        "HostingEcrUri": "general-image",
        "HostingArtifactUri": "s3://bucket/general/",
        "InferenceEnvironmentVariables": [{"Name": "A", "Default": 1}, {"Name": "NONE", "Default": None}],
        **more,
    }
    return {
        "HubContentArn": "arn:aws:sagemaker:us-east-1:aws:hub-content/x",
        "HubContentDocument": json.dumps(content),
    }


def test_what_the_hub_says_of_an_instance_type_wins_over_its_family() -> None:
    variants = {
        "Aliases": {"gpu_image": "special-image"},
        "Variants": {
            "g5": {"Properties": {"ImageUri": "$gpu_image", "EnvironmentVariables": {"A": "2"}}},
            "ml.g5.12xlarge": {"Properties": {"EnvironmentVariables": {"A": "4"}}},
        },
    }
    answer = document(HostingInstanceTypeVariants=variants)
    small, big = parse(answer, "ml.g5.xlarge"), parse(answer, "ml.g5.12xlarge")
    assert (small.image, small.environment) == ("special-image", {"A": "2"})
    assert (big.image, big.environment) == ("special-image", {"A": "4"})
    assert parse(answer, "ml.p4d.24xlarge").environment == {"A": "1"}


HOST = {
    "ContainerStartupHealthCheckTimeout": "3000",  # text in some documents, a number in others
    "ModelDataDownloadTimeout": 3600,
    "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2",
    "InferenceVolumeSize": 256,
}


def test_what_the_hub_says_of_the_host_is_read() -> None:
    expected = Host(3000, 3600, "al2-ami-sagemaker-inference-gpu-2", 256)
    assert parse(document(**HOST), "ml.p3.2xlarge").host == expected
    assert parse(document(**HOST), "ml.g5.xlarge").host.volume_gb is None, "g5 has disks of its own"
    assert parse(document(), "ml.g5.xlarge").host == Host()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, (1200, 1200, None)),
        ({"startup_timeout": 600, "volume_gb": 100, "inference_ami": "x"}, (600, 100, "x")),
    ],
)
def test_the_hub_s_host_stands_where_the_plan_says_nothing(
    said: dict[str, Any], expected: tuple[Any, ...], clients: Clients
) -> None:
    model = {"name": "J", "source": "jumpstart", "id": "meta-textgeneration-llama-2-7b", "accept_eula": True}
    spec = endpoint_specs(
        plan(model=model, endpoint={"instance_type": "ml.g5.xlarge", **said}), "run", clients
    )[0]
    startup, second, ami = expected
    assert (spec.startup_timeout, spec.inference_ami) == (startup, ami)
    assert second == (spec.volume_gb or spec.download_timeout)


def test_an_image_of_the_plan_s_own_does_not_get_the_host_of_the_hub_s(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = parse(document(HostingEcrUri=VLLM, **HOST), "ml.p3.2xlarge")
    monkeypatch.setattr(resolve, "hub_model", lambda *_: found)
    assert container_for(jumpstart(), "ml.p3.2xlarge", clients).host == found.host
    own = container_for(jumpstart(image=IMAGE), "ml.p3.2xlarge", clients).host
    assert own == Host(3000, 3600, None, 256)


def test_without_the_hub_the_time_outs_are_those_of_an_llm(clients: Clients) -> None:
    spec = endpoint_specs(plan(), "run", clients)[0]
    assert (spec.startup_timeout, spec.download_timeout, spec.volume_gb) == (900, 1200, None)


def test_a_document_that_cannot_be_read_is_one_sentence() -> None:
    with pytest.raises(UserError, match="cannot be read"):
        parse({"HubContentName": "x", "HubContentDocument": "{"}, "ml.g5.xlarge")
    with pytest.raises(UserError, match=r"model\.image"):
        parse(document(HostingEcrUri=None), "ml.g5.xlarge")


def test_the_shipped_plans_come_to_targets(clients: Clients) -> None:
    for path in sorted((Path(__file__).parents[2] / "configs").glob("*.yml")):
        existing = {"endpoint.name": "mine"} if path.stem == "endpoint" else {}
        assert endpoint_specs(read_plan(path, existing), "run", clients)


def test_the_newest_version_of_a_hub_model_is_found_by_its_meaning() -> None:
    versions = ["1.0.9", "1.0.10", "1.0.10-rc1", "preview", "1.0.2"]
    assert max(versions, key=version_order) == "1.0.10"
    assert min(versions, key=version_order) == "preview"
