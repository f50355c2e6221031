"""Checks of a plan whose conversations are sticky, before anything is started. Each raises UserError."""

from collections.abc import Mapping

from bench.traces import read_replayed_trace
from common.errors import UserError
from configs.containers import Family, family_of
from configs.conversation import Sticky
from configs.payload import read_payload
from configs.plan import Plan
from payloads.files import payload_path

_STANDARD = ("SAGEMAKER_ENABLE_STATEFUL_SESSIONS", "false")
_SWITCHES: Mapping[Family | None, tuple[str, str]] = {
    "vllm": _STANDARD,
    "sglang": _STANDARD,
    "lmi": ("OPTION_ENABLE_STATEFUL_SESSIONS", "true"),
}
"""The variable that lets a container open sessions, and its default."""


def check_sessions_enabled(plan: Plan) -> None:
    """Check that a container that is to be deployed opens sessions, where its variables say so."""
    sticky, model = plan.workload.sticky, plan.model
    family = family_of(model.image or "", model.env)
    if sticky is None or sticky.open != Sticky().open or plan.endpoint.name is not None:
        return
    variable, default = _SWITCHES.get(family, ("", "true"))
    if model.env.get(variable, default).lower() != "true":
        raise UserError(
            f"workload.sticky: the {family} container opens no sessions unless {variable} is true",
            f"set model.env.{variable}: true",
        )


def check_conversations(plan: Plan) -> None:
    """Check that there are conversations to open sessions for."""
    workload = plan.workload
    if workload.sticky is None or workload.conversation is not None:
        return
    if plan.load.trace is not None:
        found = any(row.session is not None for row in read_replayed_trace(plan).rows)
    else:
        files = [(spec.file, spec.template) for spec in workload.specs if spec.file is not None]
        found = any(row.turns for file, form in files for row in read_payload(payload_path(file), form))
    if not found:
        raise UserError(
            "workload.sticky opens a session for each conversation, but this plan sends single requests",
            "set workload.conversation (docs/conversations.md), or leave sticky out",
        )
