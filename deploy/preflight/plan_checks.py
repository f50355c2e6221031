"""Checks that need no AWS call: pure functions of the plan, its payloads and this machine's limits."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from common.errors import Setting
from common.formatting import cents, duration
from configs.arrivals import arrival_process
from configs.containers import family_of
from configs.plan import Plan
from deploy.preflight.estimate import Estimate, answer_seconds, answer_tokens
from deploy.spec.endpoint_spec import EndpointSpec, components_expire_earlier_s
from deploy.spec.images import LLAMA_CPP, ecr_image

Level = Literal["ok", "warning", "stop"]

INVOCATION_LIMIT_S = 60.0
STREAM_LIMIT_S = 480.0
PAYLOAD_LIMIT_BYTES = 6_291_456
CLOCK_LIMIT_S = 300.0
_FILES_PER_REQUEST = 2
_FILES_OF_PROCESS = 256
_BYTES_PER_REQUEST = 600
_DOWNLOAD_BYTES_PER_S = 100e6
_LOAD_BYTES_PER_S = 200e6
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)\s*([bm])(?![a-z0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class Check:
    """The result of one check, and what to do about it."""

    name: str
    level: Level
    finding: str
    remedy: str = ""
    setting: Setting | None = None
    """The setting that the remedy changes, as in `UserError`."""

    def __str__(self) -> str:
        """On one line."""
        return f"{self.name}: {self.finding}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class PayloadFacts:
    """What the checks need to know about a payload file."""

    name: str
    prompts: int
    max_bytes: int
    """Size of the largest request body: JSON with escapes, the parameters and the unique prefix."""
    max_prompt_tokens: int | None


@dataclass(frozen=True)
class MachineFacts:
    """This machine's limits. None where there is none or it is not known."""

    open_files: int | None
    """Hard limit."""
    disk_free_bytes: int | None


def check_plan_and_machine(
    plan: Plan, payloads: Iterable[PayloadFacts], machine: MachineFacts, estimate: Estimate
) -> list[Check]:
    """All checks of the plan that need neither AWS nor an endpoint spec."""
    facts = list(payloads)
    return [
        check_answer_time(plan),
        *(check_payload_size(fact) for fact in facts),
        check_context(plan, facts),
        *([check_arrivals(plan)] if plan.load.open_loop else []),
        check_open_files(plan, machine),
        check_disk(machine, estimate),
        check_lifetime(plan, estimate),
        check_budget(plan, estimate),
    ]


def check_answer_time(plan: Plan) -> Check:
    """The time of the longest answer against the limit of an invocation (60 s) or a stream (8 minutes)."""
    limit = STREAM_LIMIT_S if plan.workload.stream else INVOCATION_LIMIT_S
    kind = "a streamed answer" if plan.workload.stream else "an invocation"
    tokens = answer_tokens(plan)
    if tokens is None:
        return Check(
            "answer time",
            "warning",
            f"the length of answers is not limited, and {kind} is cut off after {limit:.0f} s",
            "set workload.max_tokens",
        )
    seconds = answer_seconds(plan)
    finding = f"{tokens} tokens take about {seconds:.0f} s for one user; {kind} may take {limit:.0f} s"
    if seconds > limit:
        return Check("answer time", "stop", finding, "request fewer tokens" + _or_stream(plan))
    if seconds > limit / 3:
        return Check(
            "answer time",
            "warning",
            finding + ", and answers are slower under load",
            "expect time-outs under load, or request fewer tokens" + _or_stream(plan),
        )
    return Check("answer time", "ok", finding)


def _or_stream(plan: Plan) -> str:
    return "" if plan.workload.stream else ", or set workload.stream: true"


def check_payload_size(fact: PayloadFacts) -> Check:
    """The largest request body against SageMaker's payload limit."""
    finding = (
        f"{fact.prompts} prompts; the largest body has {fact.max_bytes:,} of {PAYLOAD_LIMIT_BYTES:,} bytes"
    )
    if fact.max_bytes > PAYLOAD_LIMIT_BYTES:
        return Check(f"payload {fact.name}", "stop", finding, "use a payload with shorter prompts")
    return Check(f"payload {fact.name}", "ok", finding)


def check_context(plan: Plan, facts: list[PayloadFacts]) -> Check:
    """Prompt plus answer against the model's context length."""
    prompt = max((fact.max_prompt_tokens or 0 for fact in facts), default=0)
    answer = answer_tokens(plan)
    needed = f"{prompt or 'an unknown number of'} prompt"
    needed += " tokens, and answers without a limit" if answer is None else f" + {answer} answer tokens"
    limit = plan.model.context_length
    if limit is None:
        return Check(
            "context",
            "warning",
            f"{needed}; the model's context length is not known",
            "set model.context_length",
        )
    if prompt + (answer or 0) > limit:
        return Check(
            "context", "stop", f"{needed} exceed the context of {limit}", "use shorter prompts or answers"
        )
    fits = f"{needed}; the context is {limit}" if answer is None else f"{needed} fit into {limit}"
    return Check("context", "ok", fits)


def check_arrivals(plan: Plan) -> Check:
    """How irregularly requests arrive, and how many may be in flight."""
    label = arrival_process(plan.load.arrivals).label()
    if plan.load.trace:
        label = f"as in the trace {plan.load.trace.file}"
    return Check("arrivals", "ok", f"{label}; at most {plan.load.max_in_flight:,} requests in flight")


def files_needed(in_flight: int) -> int:
    """The number of open files that a load needs: two per request in flight, and those of the process."""
    return in_flight * _FILES_PER_REQUEST + _FILES_OF_PROCESS


def check_open_files(plan: Plan, machine: MachineFacts) -> Check:
    """The open files of the load against the hard limit."""
    needed = files_needed(plan.load.most_in_flight)
    if machine.open_files is None:
        return Check("open files", "ok", f"{needed} needed, no limit")
    if machine.open_files < needed:
        remedy = f"raise the limit with `ulimit -Hn {needed}`, or lower the concurrency"
        return Check("open files", "stop", f"{needed} needed, {machine.open_files} allowed", remedy)
    return Check("open files", "ok", f"{needed} needed, {machine.open_files} allowed")


def check_disk(machine: MachineFacts, estimate: Estimate) -> Check:
    """The expected size of the records against the free disk space."""
    needed = estimate.requests * _BYTES_PER_REQUEST + 50_000_000
    if machine.disk_free_bytes is None:
        return Check("disk", "warning", f"about {needed / 1e6:.0f} MB needed; free space is not known")
    finding = f"about {needed / 1e6:.0f} MB needed, {machine.disk_free_bytes / 1e6:,.0f} MB free"
    if machine.disk_free_bytes < needed:
        remedy = "free disk space, or choose another results folder"
        return Check("disk", "stop", finding, remedy, "results folder")
    return Check("disk", "ok", finding)


def check_budget(plan: Plan, estimate: Estimate) -> Check:
    """The highest estimated cost against ``budget.max_spend_usd``."""
    limit, cost = plan.budget.max_spend_usd, estimate.longest_usd
    if plan.endpoint.name:
        return Check("budget", "ok", "the endpoint exists already, so the run adds no cost")
    if cost is None and limit is not None:
        remedy = "set price.usd_per_hour, or remove the limit"
        return Check(
            "budget", "stop", f"there is no price, so the limit of {cents(limit)} cannot be enforced", remedy
        )
    if cost is None:
        return Check(
            "budget", "ok", "there is no price, so no cost estimate and no limit", "set price.usd_per_hour"
        )
    if limit is None:
        return Check(
            "budget", "ok", f"up to {cents(cost)}; no limit is set", "set budget.max_spend_usd to limit it"
        )
    if cost > limit:
        remedy = "shorten the windows, drop steps, or raise budget.max_spend_usd"
        return Check("budget", "stop", f"up to {cents(cost)}, more than the {cents(limit)} allowed", remedy)
    return Check("budget", "ok", f"up to {cents(cost)} of {cents(limit)} allowed")


def check_lifetime(plan: Plan, estimate: Estimate) -> Check:
    """The longest duration of the run against the expiry, which counts from the start of the run."""
    if plan.endpoint.name:
        return Check("lifetime", "ok", "the endpoint exists already and gets no expiry")
    longest, allowed = estimate.longest_s, plan.endpoint.max_lifetime
    first = "the endpoint expires"
    if plan.endpoint.components and plan.endpoint.scheduler_role:
        first, allowed = "its inference components expire", allowed - components_expire_earlier_s(allowed)
    finding = f"the run takes up to {duration(longest)}, {first} after {duration(allowed)}"
    if longest > allowed:
        level: Level = "stop" if plan.endpoint.scheduler_role else "warning"
        return Check("lifetime", level, finding, "raise endpoint.max_lifetime, or shorten the windows")
    if not plan.endpoint.scheduler_role and plan.model.source != "local":
        finding = (
            f"the run takes up to {duration(longest)}; if this machine fails, nothing deletes the endpoint"
        )
        remedy = (
            "set endpoint.scheduler_role so that AWS deletes it on schedule, or be ready to run "
            "`make teardown` on another machine"
        )
        return Check("lifetime", "warning", finding, remedy)
    return Check("lifetime", "ok", finding)


def check_spec(plan: Plan, spec: EndpointSpec) -> list[Check]:
    """The checks of an endpoint spec that need no AWS call."""
    images = [check_image(model.container.image, spec) for model in spec.models]
    return [*images, *check_instance_supported(spec), check_timeouts(plan, spec)]


def check_instance_supported(spec: EndpointSpec) -> list[Check]:
    """Whether JumpStart lists the instance type for its models; empty for other models."""
    checks = []
    for model in spec.models:
        supported = model.container.instance_types
        if not supported:
            continue
        if spec.instance_type in supported:
            checks.append(Check("model support", "ok", f"JumpStart lists {spec.instance_type} for the model"))
        else:
            finding = f"JumpStart does not list {spec.instance_type} for the model"
            remedy = f"use one of {', '.join(supported)}"
            checks.append(Check("model support", "warning", finding, remedy))
    return checks


def check_image(uri: str, spec: EndpointSpec) -> Check:
    """Whether SageMaker can pull the image in the region, and the host has the driver for its CUDA."""
    name = uri.rsplit("/", 1)[-1]
    image = ecr_image(uri)
    if image is None:
        remedy = "push it to Amazon ECR, the only registry from which SageMaker pulls"
        return Check("image", "stop", f"{uri} is not in Amazon ECR", remedy)
    if not (image.tag or image.digest):
        return Check("image", "stop", f"{uri} has no tag", "add one: SageMaker assumes no default")
    if image.region != spec.region:
        remedy = f"use the image in {spec.region}: SageMaker pulls only from the endpoint's region"
        return Check("image", "stop", f"{name} is in {image.region}, the endpoint in {spec.region}", remedy)
    if re.search(r"cuda-v\d", name) and spec.inference_ami is None:
        remedy = "set endpoint.inference_ami if the container does not start"
        return Check(
            "image",
            "warning",
            f"{name}: the name does not say which CUDA it has, so the host's driver may be too old",
            remedy,
        )
    driver = f" on {spec.inference_ami}" if spec.inference_ami else ""
    return Check("image", "ok", f"{name}{driver}")


def check_timeouts(plan: Plan, spec: EndpointSpec) -> Check:
    """The container's time-outs against the estimated time to load weights of the model's size."""
    gigabytes = model_gigabytes(plan)
    timeouts = f"{spec.download_timeout:.0f} s to download, {spec.startup_timeout:.0f} s to start"
    if gigabytes is None:
        return Check("container time-outs", "ok", f"{timeouts}; the model's name does not say its size")
    download, start = gigabytes * 1e9 / _DOWNLOAD_BYTES_PER_S, 120 + gigabytes * 1e9 / _LOAD_BYTES_PER_S
    from_hugging_face = plan.model.source == "huggingface"
    finding = f"{timeouts}; about {gigabytes:.0f} GB of weights"
    if from_hugging_face:
        start += download
    elif download > spec.download_timeout:
        return Check(
            "container time-outs",
            "warning",
            finding,
            f"set endpoint.download_timeout to {download:.0f} s or more",
        )
    if start > spec.startup_timeout:
        return Check(
            "container time-outs",
            "warning",
            finding,
            f"set endpoint.startup_timeout to {start:.0f} s or more",
        )
    return Check("container time-outs", "ok", finding)


def model_gigabytes(plan: Plan) -> float | None:
    """Size of 16-bit weights by the parameters in the model's name (``7b``: 14 GB); None without them."""
    if family_of(plan.model.image or LLAMA_CPP) == "llama-cpp" and plan.model.source == "local":
        return None
    sizes = [
        float(number) * (1.0 if unit.lower() == "b" else 0.001)
        for text in (plan.model.id or "", plan.model.name)
        for number, unit in _SIZE.findall(text.replace("-", " ").replace("_", " "))
    ]
    return 2 * max(sizes) if sizes else None
