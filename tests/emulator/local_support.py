"""What the tests of the local SageMaker share: a view on a running one, and images to create endpoints of."""

import http.client
import json
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.model import OperationModel
from botocore.validate import ParamValidator

from emulator.process import LocalSageMaker
from tests.support.emulator_admin import EmulatorAdmin
from tests.support.polling import poll

ROLE = "arn:aws:iam::123456789012:role/local-sagemaker"
TGI = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-tgi-inference:2.0.1-tgi1.1.0"
LMI = "763104351884.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.38.0-lmi29.0.0-cu130"
OPENAI = "763104351884.dkr.ecr.us-east-1.amazonaws.com/vllm:0.30.0"
FAST = {
    "SIMULATED_BOOT_SECONDS": "0",
    "SIMULATED_TOKENIZER": "words",
    "SIMULATED_PREFILL_MS": "1",
    "SIMULATED_DECODE_MS": "1",
    "SIMULATED_DECODE_MS_PER_STREAM": "0",
}
OPTIONS = ("--create-seconds", "0.05", "--delete-seconds", "0.05", "--startup-limit", "20")


def check_answer(model: OperationModel, parsed: dict[str, Any], **_: object) -> None:
    """Hold a successful answer against the output shape: required members, types, no member unknown."""
    if "Error" in parsed or model.output_shape is None or model.has_event_stream_output:
        return
    content = {k: v for k, v in parsed.items() if k not in ("ResponseMetadata", "Body")}
    known = set(model.output_shape.members) - {"Body"}
    assert set(content) <= known, f"{model.name} answered members that its shape does not know"
    if model.service_model.service_name != "sagemaker-runtime":
        if model.name == "GetRole":  # boto3 has decoded the policy already
            content["Role"] = {**content["Role"], "AssumeRolePolicyDocument": "{}"}
        report = ParamValidator().validate(content, model.output_shape)
        assert not report.has_errors(), f"{model.name}: {report.generate_report()}"


class Local(EmulatorAdmin):
    """A running local SageMaker as a test sees it: its API, and what is behind it."""

    def __init__(self, process: LocalSageMaker, ca: Path | None = None) -> None:
        super().__init__(process.url, ca)
        self.process = process
        self._count = 0
        self._clients: dict[str, Any] = {}

    def client(self, service: str, **overrides: Any) -> Any:
        """A boto3 client of the service, without retries."""
        key = f"{service}{overrides}"
        if key not in self._clients:
            environment = self.process.environment
            options = {
                "region_name": "us-east-1",
                "endpoint_url": self.url,
                "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
                "verify": str(self._ca) if self._ca else None,
                "config": Config(retries={"max_attempts": 0}, read_timeout=30),
            }
            client = boto3.client(service, **{**options, **overrides})
            client.meta.events.register("after-call.*.*", check_answer)
            self._clients[key] = client
        return self._clients[key]

    def name(self, prefix: str = "t") -> str:
        """A name that no other test uses."""
        self._count += 1
        return f"{prefix}-{self._count}"

    def create(self, image: str, environment: dict[str, str], **variant: Any) -> str:
        """Create model, config and endpoint of one name, and give the name; not awaited."""
        name, sagemaker = self.name(), self.client("sagemaker")
        sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": image, "Environment": {**FAST, **environment}},
        )
        production = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.g5.xlarge",
            "InitialInstanceCount": 1,
            **variant,
        }
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[production])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        return name

    def shared_endpoint(self) -> str:
        """An endpoint with one inference component, called like it and ``-part``, both in service."""
        name, sagemaker = self.name(), self.client("sagemaker")
        sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": OPENAI, "Environment": FAST}
        )
        variant = {"VariantName": "AllTraffic", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ExecutionRoleArn=ROLE, ProductionVariants=[variant]
        )
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        assert self.settled(name)["EndpointStatus"] == "InService"
        sagemaker.create_inference_component(
            InferenceComponentName=f"{name}-part",
            EndpointName=name,
            VariantName="AllTraffic",
            Specification={
                "ModelName": name,
                "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024},
            },
            RuntimeConfig={"CopyCount": 1},
        )
        poll(lambda: self.component_status(f"{name}-part") == "InService")
        return name

    def component_status(self, name: str) -> str:
        found = self.client("sagemaker").describe_inference_component(InferenceComponentName=name)
        return str(found["InferenceComponentStatus"])

    def settled(self, name: str) -> dict[str, Any]:
        """Wait until an endpoint is no longer Creating; its description."""
        describe = self.client("sagemaker").describe_endpoint
        poll(lambda: describe(EndpointName=name)["EndpointStatus"] != "Creating")
        description: dict[str, Any] = describe(EndpointName=name)
        return description

    def endpoint(self, image: str, environment: dict[str, str] | None = None, **variant: Any) -> str:
        """An endpoint in service."""
        name = self.create(image, environment or {}, **variant)
        description = self.settled(name)
        assert description["EndpointStatus"] == "InService", description.get("FailureReason")
        return name

    def delete(self, name: str) -> None:
        """Delete an endpoint and wait until it is gone."""
        sagemaker = self.client("sagemaker")
        sagemaker.delete_endpoint(EndpointName=name)
        poll(lambda: not sagemaker.list_endpoints(NameContains=name)["Endpoints"])

    def load(self, name: str) -> dict[str, int]:
        """Requests that run and that wait in the simulated container of an endpoint."""
        port = self.containers(name)[0]["port"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/load")
        found: dict[str, int] = json.load(connection.getresponse())
        connection.close()
        return found

    def containers(self, name: str) -> list[dict[str, Any]]:
        """The containers of an endpoint: variant, pid, port, outstanding invocations."""
        state = self.state()["regions"]["us-east-1"]
        found: list[dict[str, Any]] = state["endpoints"][name]["containers"]
        return found
