"""The templates in deploy/hosts: linted, and started as `make master` and `make worker` are."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import grimp
import pytest
import yaml

from bench.cli import cli
from bench.commands import run, worker
from common.errors import UserError
from common.parent_process import TOKEN_VARIABLE
from common.paths import PROJECT

HOSTS = PROJECT / "deploy" / "hosts"
KUBERNETES = HOSTS / "kubernetes"
CLOUDFORMATION = sorted((HOSTS / "cloudformation").glob("*.yml"))
OWN = ("analysis", "bench", "common", "configs", "deploy", "emulator", "locustfiles", "payloads", "runfolder")
WORKER_IMAGE = "sagemaker-llm-bench-worker"
COMMANDS = run.COMMANDS | worker.COMMANDS
INVOKE = {"sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"}


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as their arguments."""


def function(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


Loader.add_multi_constructor("!", function)


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader)  # noqa: S506 - a subclass of the safe loader


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted(KUBERNETES.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def pods() -> dict[str, dict[str, Any]]:
    """Name of the Job or Deployment → specification of its pods."""
    return {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]
        for manifest in manifests()
        if manifest["kind"] in ("Job", "Deployment")
    }


def resources(path: Path, kind: str) -> list[dict[str, Any]]:
    every = read(path)["Resources"].values()
    return [resource["Properties"] for resource in every if resource["Type"] == kind]


def fleet_command() -> list[str]:
    (template,) = resources(HOSTS / "cloudformation/ec2-fleet.yml", "AWS::EC2::LaunchTemplate")
    script = template["LaunchTemplateData"]["UserData"]["Fn::Base64"]
    return script[script.index("worker --master") :].split()  # type: ignore[no-any-return]


def task_container() -> dict[str, Any]:
    (task,) = resources(HOSTS / "cloudformation/fargate.yml", "AWS::ECS::TaskDefinition")
    (container,) = task["ContainerDefinitions"]
    return container  # type: ignore[no-any-return]


def commands() -> dict[str, list[str]]:
    compose = read(HOSTS / "compose.yml")["services"]
    of_pods = {name: pod["containers"][0]["args"] for name, pod in pods().items()}
    return {
        **{f"compose {name}": service["command"] for name, service in compose.items()},
        **{f"kubernetes {name}": command for name, command in of_pods.items()},
        "ec2 worker": fleet_command(),
        "fargate worker": task_container()["Command"],
    }


@pytest.mark.parametrize("where", sorted(commands()))
def test_the_command_line_accepts_what_the_template_starts(where: str) -> None:
    name, *options = commands()[where]
    assert name == where.split()[1]
    filled = [re.sub(r"\$[({][^)}]+[)}]", "7", option) for option in options]
    context = COMMANDS[name].make_context(name, filled)
    assert not any("$" in option for option in filled)
    if name == "master":
        assert (context.params["workers"], context.params["endpoint"]) == (7, "7")
        assert "--bind=0.0.0.0" in options
    else:
        assert context.params["port"] in (5557, 7)


def test_an_option_that_does_not_exist_would_be_found() -> None:
    with pytest.raises(click.NoSuchOption):
        COMMANDS["worker"].make_context("worker", ["--master=m", "--hosts=2"])


def test_the_token_comes_by_the_environment_and_is_written_nowhere() -> None:
    compose = read(HOSTS / "compose.yml")["x-bench"]["environment"]
    assert compose[TOKEN_VARIABLE].startswith("${BENCH_TOKEN:?")
    for pod in pods().values():
        assert {"secretRef": {"name": "run-token"}} in pod["containers"][0]["envFrom"]
    (generated,) = read(KUBERNETES / "kustomization.yaml")["secretGenerator"]
    assert generated == {"name": "run-token", "envs": ["run-token.env"]}
    assert "run-token.env" in (KUBERNETES / ".gitignore").read_text().split()
    assert [secret["Name"] for secret in task_container()["Secrets"]] == [TOKEN_VARIABLE]
    assert not any("token" in option.lower() for command in commands().values() for option in command)


def test_every_container_is_unprivileged_and_read_only() -> None:
    for pod in pods().values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        own = pod["containers"][0]["securityContext"]
        assert own["readOnlyRootFilesystem"] is True
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= pod["containers"][0]["resources"].keys()
    for service in read(HOSTS / "compose.yml")["services"].values():
        assert (service["read_only"], service["user"], service["cap_drop"]) == (True, "10001:10001", ["ALL"])
    assert task_container()["ReadonlyRootFilesystem"] is True
    assert task_container()["User"] == "10001:10001"


def test_kustomize_names_every_manifest_and_as_many_workers_as_there_are() -> None:
    kustomization = read(KUBERNETES / "kustomization.yaml")
    others = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == others
    (replicas,) = (m["spec"]["replicas"] for m in manifests() if m["kind"] == "Deployment")
    assert f"WORKERS={replicas}" in kustomization["configMapGenerator"][0]["literals"]


@pytest.mark.parametrize("template", CLOUDFORMATION, ids=lambda path: path.stem)
def test_hosts_may_only_invoke_one_endpoint(template: Path) -> None:
    statements = [
        statement
        for role in resources(template, "AWS::IAM::Role")
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    (invoke,) = (s for s in statements if any("sagemaker" in action for action in s["Action"]))
    assert set(invoke["Action"]) == INVOKE
    assert invoke["Resource"].endswith(":endpoint/${EndpointName}")
    anywhere = [s["Action"] for s in statements if s["Resource"] == "*"]
    assert anywhere == ["ecr:GetAuthorizationToken"]
    assert not any("*" in action for s in statements for action in s["Action"])


def test_a_host_terminates_itself_before_anything_can_fail() -> None:
    path = HOSTS / "cloudformation/ec2-fleet.yml"
    data = resources(path, "AWS::EC2::LaunchTemplate")[0]["LaunchTemplateData"]
    first, guard = [line for line in data["UserData"]["Fn::Base64"].splitlines() if line[0] != "#"][:2]
    assert first == "shutdown -P +${MaxMinutes}"
    assert guard.startswith("trap") and "shutdown -P now" in guard  # noqa: PT018 - one line
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert resources(path, "AWS::EC2::EC2Fleet")[0]["Type"] == "instant", "others replace what has ended"


def test_the_images_are_pinned_and_unprivileged_and_the_templates_name_their_version() -> None:
    lines = (HOSTS / "Dockerfile").read_text().splitlines()
    assert re.fullmatch(
        r"ARG PYTHON=python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", lines[lines.index("") - 1]
    )
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert any(line.startswith('ENTRYPOINT ["') for line in lines)
    assert not any(line.startswith("ADD") for line in lines)
    assert (
        sum("--require-hashes" in line for line in lines) == sum("pip install" in line for line in lines) - 2
    )
    version = re.search(r'^version = "(.+)"', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert [image["newTag"] for image in read(KUBERNETES / "kustomization.yaml")["images"]] == [
        version[1]
    ] * 2
    images = [service["image"] for service in read(HOSTS / "compose.yml")["services"].values()]
    assert [image.partition(":-")[2] for image in images] == [
        f"{name}:{version[1]}}}" for name in ("sagemaker-llm-bench", WORKER_IMAGE)
    ]


def test_every_worker_starts_from_the_worker_image_and_no_master_does() -> None:
    compose = read(HOSTS / "compose.yml")["services"]
    assert {name: service["build"]["target"] for name, service in compose.items()} == {
        "master": "master",
        "worker": "worker",
    }
    of_pods = {name: pod["containers"][0]["image"] for name, pod in pods().items()}
    assert of_pods == {"master": "sagemaker-llm-bench", "worker": WORKER_IMAGE}
    for template in CLOUDFORMATION:
        assert "worker image" in read(template)["Parameters"]["Image"]["Description"]


def test_the_worker_image_has_every_package_that_a_worker_imports() -> None:
    graph = grimp.build_graph(*OWN, include_external_packages=True, exclude_type_checking_imports=True)
    started = ("bench.cli", "bench.commands.worker", "locustfiles.run_locust", "locustfiles.experiment")
    modules = set().union(*(graph.find_upstream_modules(module) for module in started))
    external = {module.partition(".")[0] for module in modules} - set(OWN) - set(sys.stdlib_module_names)
    distributions = metadata.packages_distributions()
    needed = {
        distribution.lower().replace("_", "-")
        for module in external
        for distribution in distributions[module]
    }
    locked = (PROJECT / "requirements-worker.lock").read_text()
    assert needed - set(re.findall(r"^([\w-]+)==", locked, re.MULTILINE)) == set()
    assert len(needed) > 8
    pins = re.compile(r"^\S+==\S+", re.MULTILINE)
    assert set(pins.findall(locked)) <= set(pins.findall((PROJECT / "requirements.lock").read_text()))
    assert "pandas" not in locked


def test_a_command_that_the_worker_image_lacks_packages_for_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    for name in [
        name for name in sys.modules if name.startswith(("bench.commands.report", "analysis", "runfolder"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError, match=r"`llm-bench report` needs the Python package pandas"):
        cli.get_command(click.Context(cli), "report")


@pytest.mark.e2e
@pytest.mark.parametrize(
    "command",
    [
        ["cfn-lint", *map(str, CLOUDFORMATION)],
        ["hadolint", str(HOSTS / "Dockerfile")],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(HOSTS / "compose.yml")],
        ["kubernetes-validate", "--strict", *map(str, KUBERNETES.glob("[!k]*.yaml"))],
    ],
    ids=lambda command: command[0],
)  # fmt: skip
def test_the_linter_finds_nothing(command: list[str]) -> None:
    program, *rest = command
    done = subprocess.run(
        [Path(sys.executable).parent / program, *rest], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
