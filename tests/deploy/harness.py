"""What the tests of deploy share: a plan, a quick pace, and a look behind the local account."""

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from configs.plan import Plan
from deploy.aws.clients import Clients
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.polling import PollingPolicy
from deploy.spec.fleet_spec import FleetOptions, FleetSpec, Hardware, Network
from deploy.spec.owner import machine_owner, this_process
from emulator.process import LocalSageMaker
from tests.support.emulator_admin import EmulatorAdmin

QUICK = PollingPolicy(
    first_pause_s=0.03,
    longest_pause_s=0.2,
    growth=1.6,
    eventual_consistency_s=10,
    grace_s=0.5,
    in_service_s=60,
    removal_s=60,
)
"""Looks often; its limits are for what must succeed, however busy the machine is."""
IMPATIENT = replace(QUICK, eventual_consistency_s=0.8, in_service_s=3, removal_s=6, extra_while_creating_s=0)
"""For what can never succeed."""
IMPATIENT_DELETION = replace(QUICK, removal_s=6, extra_while_creating_s=0)
"""For a deletion that can never succeed, after a creation that does."""
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/simulated:latest"
LIGHT = {"SIMULATED_TOKENIZER": "words"}
"""A container that nobody asks anything need not read a tokenizer, which is half of its start."""
CREDENTIALS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "example"}


def plan(**changes: Any) -> Plan:
    """A small plan; ``changes`` replace whole sections."""
    sections: dict[str, Any] = {
        "name": "matrix",
        "model": {"name": "Simulated", "source": "image", "image": IMAGE, "env": LIGHT},
        "endpoint": {"instance_type": "ml.g5.xlarge"},
        "workload": {"payload": "en_50-100", "parameters": {"max_tokens": 16}},
        "load": {"concurrency": [1, 2], "warm_up": 1, "measure": 10},
    }
    return Plan.model_validate(sections | changes)


def fleet_spec() -> FleetSpec:
    """A fleet of two hosts for an endpoint that need not exist."""
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/llm-bench-worker:0.2.0"
    subnets = ("subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaaaaaaaaaaaaa2")
    return FleetSpec(
        run_id="fleet-run",
        region="us-east-1",
        owner=machine_owner(),
        process=str(this_process()),
        options=FleetOptions("mine", image, "10.0.0.5", 5557, subnets, 2, "c7i.xlarge", 240),
        network=Network("vpc-0a", "sg-0a", "pl-0a", "vpce-0a", "sg-0b"),
        hardware=Hardware(4, "x86_64"),
        usd_per_hour=0.1785,
        created_at=float(int(time.time())),
    )


class Account(EmulatorAdmin):
    """The account of an emulator, which a test can empty."""

    def empty(self) -> None:
        """Delete everything that a test left, whoever made it."""
        clients = fresh_clients()
        steps = {
            "inference_components": lambda name: clients.sagemaker.delete_inference_component(
                InferenceComponentName=name
            ),
            "endpoints": lambda name: clients.sagemaker.delete_endpoint(EndpointName=name),
            "endpoint_configs": lambda name: clients.sagemaker.delete_endpoint_config(
                EndpointConfigName=name
            ),
            "models": lambda name: clients.sagemaker.delete_model(ModelName=name),
            "schedules": lambda name: clients.client("scheduler").delete_schedule(Name=name),
            "stacks": lambda name: clients.client("cloudformation").delete_stack(StackName=name),
            "secrets": lambda name: clients.client("secretsmanager").delete_secret(
                SecretId=name, ForceDeleteWithoutRecovery=True
            ),
        }
        end = time.monotonic() + 20
        while left := self.left():
            if time.monotonic() > end:
                raise TimeoutError(f"the account cannot be emptied: {left}")
            for entry in left:
                kind, _, name = entry.partition("/")
                try:
                    steps[kind](name)
                except (ClientError, BotoCoreError):
                    time.sleep(0.05)


def items(count: int) -> list[Item]:
    """A few items of one run."""
    return [
        Item(
            kind="endpoint",
            name=f"bench-{index}",
            group=f"bench-{index}",
            run_id="run",
            owner="user@host",
            region="us-east-1",
            api="http://api",
            account="123456789012",
            created_at=1_700_000_000.0 + index,
            instance_type="ml.g5.xlarge",
        )
        for index in range(count)
    ]


def states(ledger: Ledger) -> dict[str, str]:
    """State by kind, as the ledger knows it."""
    return {item.kind: item.state for item in ledger.items()}


@dataclass
class _Process:
    """What this process has: one local SageMaker, and the service models loaded once."""

    server: LocalSageMaker | None = None
    session: Session | None = None


_here = _Process()

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(play: Callable[[T], R], cases: Sequence[T], processes: int = 6) -> list[R]:
    """Play every case in a few processes; they mostly wait. Each has a local SageMaker of its own."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=renew_server) as pool:
        return list(pool.map(play, cases))


def renew_server() -> None:
    """Give this process a local SageMaker with an empty account, reached as any account is."""
    if _here.server is not None:
        _here.server.stop()
    quick = ["--create-seconds", "0.1", "--delete-seconds", "0.05"]
    _here.server = LocalSageMaker(quick, log_path=Path(os.devnull))
    _here.server.__enter__()
    os.environ.update(_here.server.environment, SAGEMAKER_ROLE="local-sagemaker")
    _here.session = None


def here() -> Account:
    """The account of this process."""
    assert _here.server is not None
    return Account(_here.server.url)


def fresh_clients(attempts: int = 2) -> Clients:
    """New clients, so that no rate limiter remembers an earlier case; the service models are loaded once."""
    if _here.session is None:
        first = Clients.from_environment("us-east-1")
        _here.session = first.session
        for service in ("sagemaker", "sts", "scheduler"):
            first.client(service)
    return Clients(_here.session, "us-east-1", attempts)
