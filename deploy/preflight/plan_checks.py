"""Checks of a plan that need no call: pure functions of the plan, its payloads and this machine's facts."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from configs.containers import family_of
from configs.plan import Plan
from deploy.preflight.estimate import Estimate, answer_seconds, answer_tokens
from deploy.spec.endpoint_spec import Target, component_lead
from deploy.spec.images import LLAMA_CPP, ecr_image

Level = Literal["ok", "warning", "stop"]

INVOCATION_LIMIT_S = 60.0
STREAM_LIMIT_S = 480.0
PAYLOAD_LIMIT_BYTES = 6_291_456
CLOCK_LIMIT_S = 300.0
_FILES_PER_USER = 2
_FILES_SPARE = 256
_BYTES_PER_REQUEST = 600
_DOWNLOAD_BYTES_PER_S = 100e6
_LOAD_BYTES_PER_S = 200e6
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)\s*([bm])(?![a-z0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class Check:
    """One line of the preflight: what was looked at, how it stands, and what to do about it."""

    name: str
    level: Level
    finding: str
    remedy: str = ""


@dataclass(frozen=True)
class PayloadFacts:
    """What a payload file comes to."""

    name: str
    prompts: int
    max_bytes: int
    """Of the longest request body: JSON with its escapes, the parameters and the unique prefix."""
    max_prompt_tokens: int | None


@dataclass(frozen=True)
class MachineFacts:
    """What this machine allows. None where it cannot be told."""

    open_files: int | None
    """Hard limit."""
    disk_free_bytes: int | None


def plan_checks(
    plan: Plan, payloads: Iterable[PayloadFacts], machine: MachineFacts, foreseen: Estimate
) -> list[Check]:
    """Everything that the plan alone decides."""
    facts = list(payloads)
    return [
        answer_time(plan),
        *(payload_size(fact) for fact in facts),
        context(plan, facts),
        file_descriptors(plan, machine),
        disk(machine, foreseen),
        lifetime(plan, foreseen),
        budget(plan, foreseen),
    ]


def answer_time(plan: Plan) -> Check:
    """The longest answer against the 60 s of an invocation, or the 8 minutes of a stream."""
    limit = STREAM_LIMIT_S if plan.workload.stream else INVOCATION_LIMIT_S
    kind = "a streamed answer" if plan.workload.stream else "an invocation"
    tokens = answer_tokens(plan)
    if tokens is None:
        return Check(
            "answer time",
            "warning",
            f"the answer's length is not limited, {kind} is cut off after {limit:.0f} s",
            "set workload.max_tokens",
        )
    seconds = answer_seconds(plan)
    finding = f"{tokens} tokens in about {seconds:.0f} s for one user; {kind} may take {limit:.0f} s"
    if seconds > limit:
        return Check("answer time", "stop", finding, "ask for fewer tokens" + _or_stream(plan))
    if seconds > limit / 3:
        return Check(
            "answer time",
            "warning",
            finding + ", and load slows answers",
            "watch the time-outs" + _or_stream(plan),
        )
    return Check("answer time", "ok", finding)


def _or_stream(plan: Plan) -> str:
    return "" if plan.workload.stream else ", or set workload.stream: true"


def payload_size(fact: PayloadFacts) -> Check:
    """The longest prompt against SageMaker's payload limit."""
    finding = f"{fact.prompts} prompts, the largest body {fact.max_bytes:,} bytes of {PAYLOAD_LIMIT_BYTES:,}"
    if fact.max_bytes > PAYLOAD_LIMIT_BYTES:
        return Check(f"payload {fact.name}", "stop", finding, "build a payload of shorter prompts")
    return Check(f"payload {fact.name}", "ok", finding)


def context(plan: Plan, facts: list[PayloadFacts]) -> Check:
    """Prompt plus answer against the model's context."""
    prompt = max((fact.max_prompt_tokens or 0 for fact in facts), default=0)
    tokens = answer_tokens(plan) or 0
    needed = f"{prompt} prompt + {tokens} answer tokens"
    limit = plan.model.context_length
    if limit is None:
        return Check(
            "context", "warning", f"{needed}; the model's context is not known", "set model.context_length"
        )
    if prompt + tokens > limit:
        return Check(
            "context", "stop", f"{needed} exceed the context of {limit}", "take a shorter payload or answer"
        )
    return Check("context", "ok", f"{needed} fit into {limit}")


def files_needed(users: int) -> int:
    """Open files of a load: each user's connections, and those of the process itself."""
    return users * _FILES_PER_USER + _FILES_SPARE


def file_descriptors(plan: Plan, machine: MachineFacts) -> Check:
    """A connection per user against the hard limit of open files."""
    needed = files_needed(max(plan.load.concurrency))
    if machine.open_files is None:
        return Check("open files", "ok", f"{needed} needed, not limited")
    if machine.open_files < needed:
        remedy = f"`ulimit -Hn {needed}`, or a lower concurrency"
        return Check("open files", "stop", f"{needed} needed, {machine.open_files} allowed", remedy)
    return Check("open files", "ok", f"{needed} needed, {machine.open_files} allowed")


def disk(machine: MachineFacts, foreseen: Estimate) -> Check:
    """Room for the records."""
    needed = foreseen.requests * _BYTES_PER_REQUEST + 50_000_000
    if machine.disk_free_bytes is None:
        return Check("disk", "warning", f"about {needed / 1e6:.0f} MB needed; free space is not known")
    finding = f"about {needed / 1e6:.0f} MB needed, {machine.disk_free_bytes / 1e6:,.0f} MB free"
    if machine.disk_free_bytes < needed:
        return Check("disk", "stop", finding, "free some, or set RESULTS to another disk")
    return Check("disk", "ok", finding)


def budget(plan: Plan, foreseen: Estimate) -> Check:
    """The longest course of the plan against ``budget.max_spend_usd``."""
    limit, cost = plan.budget.max_spend_usd, foreseen.longest_usd
    if plan.endpoint.name:
        return Check("budget", "ok", "the endpoint is not ours: it costs the same without this run")
    if cost is None and limit is not None:
        remedy = "set price.usd_per_hour, or take the limit out"
        return Check("budget", "stop", f"no price, so the limit of ${limit:.2f} cannot be held", remedy)
    if cost is None:
        return Check("budget", "ok", "no price, so no cost is foreseen or guarded", "set price.usd_per_hour")
    if limit is None:
        return Check("budget", "ok", f"up to ${cost:.2f}; no limit is set", "budget.max_spend_usd sets one")
    if cost > limit:
        remedy = "shorten the windows, drop steps, or raise budget.max_spend_usd"
        return Check("budget", "stop", f"up to ${cost:.2f}, more than the ${limit:.2f} allowed", remedy)
    return Check("budget", "ok", f"up to ${cost:.2f} of ${limit:.2f} allowed")


def lifetime(plan: Plan, foreseen: Estimate) -> Check:
    """The longest course against the expiry, which counts from the run's start for each of its endpoints."""
    if plan.endpoint.name:
        return Check("lifetime", "ok", "the endpoint is not ours: it is not given an expiry")
    longest, allowed = foreseen.longest_s, plan.endpoint.max_lifetime
    first = "the endpoint expires"
    if plan.endpoint.components and plan.endpoint.scheduler_role:
        first, allowed = "its inference components expire", allowed - component_lead(allowed)
    finding = f"{longest / 60:.0f} min at the longest, {first} after {allowed / 60:.0f} min"
    if longest > allowed:
        level: Level = "stop" if plan.endpoint.scheduler_role else "warning"
        return Check("lifetime", level, finding, "raise endpoint.max_lifetime, or shorten the windows")
    if not plan.endpoint.scheduler_role and plan.model.source != "local":
        alone = (
            f"{longest / 60:.0f} min at the longest; if this machine is lost, nothing deletes the endpoint"
        )
        remedy = (
            "set endpoint.scheduler_role for a schedule in AWS that does, or run `make teardown` elsewhere"
        )
        return Check("lifetime", "warning", alone, remedy)
    return Check("lifetime", "ok", finding)


def target_checks(plan: Plan, target: Target) -> list[Check]:
    """What a target's own numbers show: its image for its region, and its container's time-outs."""
    checks = [image(model.container.image, target) for model in target.models]
    return [*checks, timeouts(plan, target)]


def image(uri: str, target: Target) -> Check:
    """Whether SageMaker can pull such an image into the endpoint's region, and its CUDA's driver there."""
    name = uri.rsplit("/", 1)[-1]
    found = ecr_image(uri)
    if found is None:
        remedy = "push it to a repository of yours in Amazon ECR, the only place that SageMaker pulls from"
        return Check("image", "stop", f"{uri} is not in Amazon ECR", remedy)
    if not (found.tag or found.digest):
        return Check("image", "stop", f"{uri} names no tag", "add one: SageMaker takes none for granted")
    if found.region != target.region:
        remedy = f"use the image of {target.region}: SageMaker pulls from its own region only"
        return Check(
            "image", "stop", f"{name} lies in {found.region}, the endpoint in {target.region}", remedy
        )
    if re.search(r"cuda-v\d", name) and target.inference_ami is None:
        remedy = "a container that does not start needs endpoint.inference_ami"
        return Check(
            "image",
            "warning",
            f"{name}: its CUDA is not in its name, the host's driver may be too old",
            remedy,
        )
    driver = f" on {target.inference_ami}" if target.inference_ami else ""
    return Check("image", "ok", f"{name}{driver}")


def timeouts(plan: Plan, target: Target) -> Check:
    """The container's time-outs against the time that weights of the model's size take."""
    gigabytes = model_gigabytes(plan)
    given = f"{target.download_timeout:.0f} s to download, {target.startup_timeout:.0f} s to start"
    if gigabytes is None:
        return Check("container time-outs", "ok", f"{given}; the model's size is not in its name")
    download, start = gigabytes * 1e9 / _DOWNLOAD_BYTES_PER_S, 120 + gigabytes * 1e9 / _LOAD_BYTES_PER_S
    hub = plan.model.source == "huggingface"
    finding = f"{given}; about {gigabytes:.0f} GB of weights"
    if hub:
        start += download
    elif download > target.download_timeout:
        return Check(
            "container time-outs",
            "warning",
            finding,
            f"set endpoint.download_timeout to {download:.0f} s or more",
        )
    if start > target.startup_timeout:
        return Check(
            "container time-outs",
            "warning",
            finding,
            f"set endpoint.startup_timeout to {start:.0f} s or more",
        )
    return Check("container time-outs", "ok", finding)


def model_gigabytes(plan: Plan) -> float | None:
    """Weights in 16 bits by the size in the model's name (``7b``: 14 GB); None where it has none."""
    if family_of(plan.model.image or LLAMA_CPP) == "llama-cpp" and plan.model.source == "local":
        return None
    sizes = [
        float(number) * (1.0 if unit.lower() == "b" else 0.001)
        for text in (plan.model.id or "", plan.model.name)
        for number, unit in _SIZE.findall(text.replace("-", " ").replace("_", " "))
    ]
    return 2 * max(sizes) if sizes else None


def worst(checks: Iterable[Check]) -> Level:
    """The worst level among ``checks``."""
    order: Mapping[Level, int] = {"ok": 0, "warning": 1, "stop": 2}
    return max((check.level for check in checks), key=lambda level: order[level], default="ok")
