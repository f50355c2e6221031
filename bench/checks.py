"""Checks of a plan and of this machine before anything is started. Each raises UserError."""

import difflib
import os
import re
import resource
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import botocore.session

from bench.sticky_checks import check_conversations, check_sessions_enabled
from bench.traces import read_replayed_trace, replayed_file
from common.errors import UserError
from configs.containers import family_of
from configs.experiment import experiment_name, request_parameters, wire_schema
from configs.payload import PayloadRow, check_rows, read_payload
from configs.payload_spec import PayloadSpec
from configs.plan import Plan
from configs.scripts import Script, scripts_of
from deploy.preflight.plan_checks import PayloadFacts, files_needed
from locustfiles.client.invocation_url import header_members
from locustfiles.client.request_bodies import BodyFactory
from payloads.asked import asked_lengths
from payloads.files import payload_path
from runfolder import layout

_BYTES_PER_TOKEN = 8
"""Of a prompt in a request's body, at most."""


@cache
def instance_types() -> frozenset[str]:
    """Hosting instance types that the installed botocore's own SageMaker model knows."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    return frozenset(model.shape_for("ProductionVariantInstanceType").metadata["enum"])


def check_instance(instance_type: str, key: str = "endpoint.instance_type") -> None:
    """Check that SageMaker hosting knows an instance type, which is under ``key`` of the plan."""
    if instance_type in instance_types():
        return
    close = difflib.get_close_matches(instance_type, instance_types(), n=1, cutoff=0.5)
    raise UserError(
        f"{key}: {instance_type!r} is not a SageMaker hosting instance type",
        f"did you mean {close[0]}?" if close else "",
    )


def check_results(results: Path) -> None:
    """Check that the results folder can be written, and that its ``latest`` is a link to a run."""
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the results folder {results} cannot be created ({error.strerror})",
            "choose another folder",
            "results folder",
        ) from None
    if not os.access(results, os.W_OK | os.X_OK):
        raise UserError(
            f"no permission to write to the results folder {results}",
            "choose another folder",
            "results folder",
        )
    latest = results / layout.LATEST
    if latest.exists() and not latest.is_symlink():
        raise UserError(
            f"{latest} is not a link: copying may have turned the link to the newest run into a folder",
            "rename or remove it",
        )


def check_file_limit(in_flight: int) -> None:
    """Raise the soft limit of open files as far as needed; check that the load fits into the hard limit."""
    needed = files_needed(in_flight)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UserError(
            f"load: {in_flight} requests in flight need {needed} open files, but this shell allows {hard}",
            f"raise the limit with `ulimit -Hn {needed}`, or lower load.concurrency or load.max_in_flight",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def check_distinct(plan: Plan) -> None:
    """Check that no two experiments have the same name: their steps could not be told apart."""
    names = Counter(
        experiment_name(kind, label) for kind in plan.endpoint.instance_type for label in plan.workload.labels
    )
    for name, times in names.items():
        if times > 1:
            raise UserError(
                f"{name} is in the plan {times} times",
                "name each instance type and payload once; a concurrency may be repeated",
            )


def check_tokenizer(path: Path) -> None:
    """Check that a file is a ``tokenizer.json``: workers would notice only once the endpoint costs money."""
    if not path.is_file():
        raise UserError(f"model.tokenizer: no file '{path}'", "give the path of a tokenizer.json")
    from tokenizers import Tokenizer  # noqa: PLC0415 - 40 ms that only a plan with a tokenizer needs

    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the library raises plain Exception, whatever is wrong
        raise UserError(
            f"model.tokenizer: {path} is not a tokenizer.json ({error})",
            "give the path of a tokenizer.json",
        ) from None


@dataclass(frozen=True)
class CheckedPayload:
    """A payload that fits its plan."""

    path: Path | None
    """None for prompts that are made once the endpoint exists."""
    facts: PayloadFacts


def check_plan(plan: Plan) -> dict[str, CheckedPayload]:
    """Check everything about a plan that needs neither the account nor the machine, see `preflight`.

    Returns:
        The file and facts of each payload of the plan, those of the parts of a mix included, by its label.
    """
    check_distinct(plan)
    if plan.endpoint.name is None:
        for instance_type in plan.endpoint.instance_type:
            check_instance(instance_type)
    if isinstance(plan.price.usd_per_hour, dict):
        for instance_type in plan.price.usd_per_hour:
            check_instance(instance_type, "price.usd_per_hour")
    payloads = {spec.label: checked_payload(plan, spec) for spec in plan.workload.specs}
    check_headers(plan)
    check_sessions_enabled(plan)
    check_conversations(plan)
    if plan.model.tokenizer:
        check_tokenizer(Path(plan.model.tokenizer))
    read_replayed_trace(plan)
    return payloads


_SET_ELSEWHERE = {
    "InferenceComponentName": "endpoint.components",
    "TargetVariant": "endpoint.target_variant",
}


def check_headers(plan: Plan) -> None:
    """Check that the runtime API has the headers, for this kind of invocation."""
    workload = plan.workload
    members = header_members(stream=workload.stream)
    for name, value in workload.headers.items():
        key = f"workload.headers.{name}"
        if setting := _SET_ELSEWHERE.get(name):
            raise UserError(f"{key} is set by the suite", f"set {setting} instead")
        if (member := members.get(name)) is None:
            if name in header_members(stream=False):
                raise UserError(f"{key} is not for streamed invocations", "set workload.stream: false")
            close = difflib.get_close_matches(name, members, n=1) or [", ".join(members)]
            raise UserError(f"{key} is not a member of InvokeEndpoint", f"there is {close[0]}")
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise UserError(
                f"{key}: {value!r} is not printable ASCII, or has spaces around it",
                "write printable ASCII characters",
            )
        if not member.shortest <= len(value) <= member.longest:
            raise UserError(
                f"{key} has {len(value)} characters", f"write {member.shortest} to {member.longest}"
            )
        if "\\p" not in member.pattern and not re.fullmatch(member.pattern, value):
            raise UserError(f"{key}: {value!r} does not match {member.pattern}")


def checked_payload(plan: Plan, spec: PayloadSpec) -> CheckedPayload:
    """Check a payload against the plan's workload.

    Raises:
        UserError: it is not a payload file, its rows do not fit the workload, or its lengths cannot be read.
    """
    if spec.file is not None:
        path = payload_path(spec.file)
        rows = read_payload(path, spec.template, whole=plan.workload.conversation is not None)
        return CheckedPayload(None if spec.is_made else path, _facts(plan, spec, path, rows))
    if plan.workload.request_schema == "raw":
        raise UserError(
            "workload.payload: prompts of asked lengths have no body",
            "set another workload.schema, or give rows with a body",
        )
    if spec.replays(replayed_file(plan)):
        lengths = [row.prompt_tokens for row in read_replayed_trace(plan).rows if row.prompt_tokens]
        if not lengths:
            raise UserError(
                f"workload.payload: {spec.lengths} has no prompt lengths", "give a trace with prompt_tokens"
            )
    else:
        lengths = [pair.prompt for pair in asked_lengths(spec, plan.load.seed)]
    longest = max(lengths) * plan.workload.turns  # sent together in the last turn of a conversation
    facts = PayloadFacts(
        name=spec.label,
        prompts=len(lengths),
        max_bytes=longest * _BYTES_PER_TOKEN,
        max_prompt_tokens=longest,
    )
    return CheckedPayload(None, facts)


def _facts(plan: Plan, spec: PayloadSpec, path: Path, rows: list[PayloadRow]) -> PayloadFacts:
    workload = plan.workload
    check_rows(path, rows, workload)
    schema = wire_schema(workload, family_of(plan.model.image or "", plan.model.env))
    scripts = scripts_of(rows, workload.conversation)
    if scripts and workload.mix is not None:
        raise UserError(
            f"{path} holds conversations, and a mix is of single requests: turns must follow each other",
            "play the conversations as workload.payload",
        )
    if scripts and plan.load.trace is not None:
        raise UserError(
            f"{path} is played as conversations, and load.trace has sessions of its own",
            "name a payload of single prompts, and leave out workload.conversation",
        )
    bodies = BodyFactory(
        [] if scripts else rows,
        schema=schema,
        route=workload.route,
        stream=workload.stream,
        parameters=request_parameters(workload, schema),
        unique_prefix=workload.unique_prefix,
    )
    if scripts:
        return _conversation_facts(spec.label, scripts, bodies, workload.max_tokens or 0)
    return PayloadFacts(
        name=spec.label,
        prompts=len(rows),
        max_bytes=bodies.largest,
        max_prompt_tokens=max(
            (row.prompt_tokens for row in rows if row.prompt_tokens is not None), default=None
        ),
    )


def _conversation_facts(
    name: str, scripts: Sequence[Script], bodies: BodyFactory, answer_tokens: int
) -> PayloadFacts:
    """Facts of conversations. The largest prompt is that of a last turn, with all answers before it.

    Args:
        name: of the payload.
        scripts: what the users say.
        bodies: writes requests.
        answer_tokens: the longest answer, where a turn has no limit of its own.
    """
    sizes, tokens = [], []
    for script in scripts:
        said = [*script.prelude, *({"role": "user", "content": turn.content} for turn in script.turns)]
        answers = sum(turn.output_tokens or answer_tokens for turn in script.turns[:-1])
        body = bodies.chat_body(script.payload_id, said, None, output_tokens=None)
        sizes.append(len(body.data) + answers * _BYTES_PER_TOKEN)
        counts = [turn.prompt_tokens for turn in script.turns if turn.prompt_tokens is not None]
        if len(counts) == len(script.turns):
            tokens.append(sum(counts) + answers)
    turns = sum(len(script.turns) for script in scripts)
    return PayloadFacts(name, turns, max(sizes), max(tokens, default=None))
