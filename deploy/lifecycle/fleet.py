"""Creates a fleet of worker hosts: the secret with the run's token, then the stack."""

import time

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import StartedError, UserError
from common.formatting import duration
from common.text import one_line
from configs.secrets import redacted
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import TRANSIENT, aws_message, classify, user_error
from deploy.aws.resources import KINDS, KindName
from deploy.lifecycle.creation import Creator
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.polling import AWS_POLLING, PollingPolicy
from deploy.lifecycle.progress import OnProgress, Progress, ProgressState, ignore_progress
from deploy.lifecycle.removal import LeftBehindError, remove
from deploy.lifecycle.signals import interruptible, pending, shielded
from deploy.spec.fleet_spec import FleetSpec, create_secret, create_stack

_CANCELLED = "cancelled"
"""In the reason of a resource whose creation ended because another one failed."""
_REMEDIES = (
    ("limit", "request a higher quota for EC2 in Service Quotas, or use fewer hosts"),
    ("capacity", "try again later, or use another instance type or subnets"),
    ("not authorized", "docs/iam.md lists the permissions that CloudFormation needs"),
)
"""Text in AWS's reason → what to do. A reason about a limit may also have the word capacity."""


def create_fleet(
    spec: FleetSpec,
    token: str,
    template: str,
    clients: Clients,
    ledger: Ledger,
    *,
    on_progress: OnProgress = ignore_progress,
    polling: PollingPolicy = AWS_POLLING,
) -> None:
    """Create the secret and the stack, and wait until the hosts start. If that fails, delete both.

    Use inside `signals.orderly_exit`, so that signals delete them too.

    Args:
        spec: what to create.
        token: the run's token; goes into the secret alone.
        template: the text of `fleet_spec.TEMPLATE`.
        clients: of the spec's region.
        ledger: written before each create call.
        on_progress: called at every look while waiting, and while deleting.
        polling: how often to look and how long to wait.

    Raises:
        StartedError: it could not be created; everything was deleted again.
        LeftBehindError: something could not be deleted; the message names the commands that delete it.
    """
    creator = Creator(clients, ledger, polling)
    failed: BaseException | None = None
    with shielded():  # around everything, so that no signal can arrive between a failure and the deletion
        try:
            with interruptible():
                secret = creator.create(_item(spec, "secret", clients), create_secret(spec, token))
                request = create_stack(spec, str(secret.arn), template)
                stack = creator.create(_item(spec, "fleet", clients), request)
                _wait(stack, clients, on_progress, polling)
                ledger.mark(stack, "in_service")
        except UserError as error:
            finding, remedy = redacted(error.finding, [token]), redacted(error.remedy, [token])
            failed = StartedError(finding, remedy, error.setting)
            raise failed from None
        except BaseException as error:
            failed = error
            raise
        finally:
            if failed := failed or pending():
                items = ledger.open_items(spec.run_id)
                if left := remove(items, clients, ledger, polling=polling, on_progress=on_progress):
                    raise LeftBehindError(left, after=failed)


def _item(spec: FleetSpec, kind: KindName, clients: Clients) -> Item:
    billed = kind == "fleet"
    return Item(
        kind=kind,
        name=spec.name if billed else spec.secret_name,
        group=spec.name,
        run_id=spec.run_id,
        owner=spec.owner,
        process=spec.process,
        region=spec.region,
        api=clients.api,
        account=clients.identity.account,
        created_at=spec.created_at,
        expires_at=spec.expires_at,
        instance_type=spec.options.instance_type if billed else None,
        instance_count=spec.options.hosts if billed else 1,
        usd_per_hour=spec.usd_per_hour if billed else None,
    )


def _wait(stack: Item, clients: Clients, on_progress: OnProgress, polling: PollingPolicy) -> None:
    """Poll until the stack is complete.

    Raises:
        UserError: it failed, or took longer than the limit.
    """
    kind, started, seen_once = KINDS[stack.kind], time.monotonic(), False
    for _ in polling.polls(polling.provisioning_s):
        elapsed_s = time.monotonic() - started
        cost = stack.cost_usd(time.time())
        try:
            seen = resources.describe(clients, kind, stack.name)
        except (ClientError, BotoCoreError) as error:
            if classify(error) not in TRANSIENT:
                raise user_error(error, f"waiting for the fleet {stack.name}") from error
            on_progress(Progress(stack, "no_answer", aws_message(error).rstrip("."), elapsed_s, None, cost))
            continue
        status = None if seen is None else str(seen[kind.status or ""])
        state: ProgressState = "not_visible" if status is None else "status"
        on_progress(Progress(stack, state, status or "", elapsed_s, None, cost))
        if status == "CREATE_COMPLETE":
            return
        gone = status is None and (seen_once or elapsed_s > polling.eventual_consistency_s)
        if gone or status not in (None, "CREATE_IN_PROGRESS"):
            reason = _first_failure(stack, clients)
            raise UserError(f"the fleet {stack.name} could not be created: {reason}", _remedy(reason))
        seen_once = seen_once or status is not None
    raise UserError(
        f"the fleet {stack.name} is still being created after {duration(polling.provisioning_s)}",
        "its events in CloudFormation say what it waits for",
    )


def _first_failure(stack: Item, clients: Clients) -> str:
    """What failed first, and AWS's reason, on one line. Events of a deleted stack are found by its ARN."""
    try:
        pages = clients.client("cloudformation").get_paginator("describe_stack_events")
        events = [event for page in pages.paginate(StackName=stack.arn) for event in page["StackEvents"]]
    except (ClientError, BotoCoreError) as error:
        return f"its events could not be read ({aws_message(error)})"
    failed = [
        event
        for event in events
        if event.get("ResourceStatus") == "CREATE_FAILED"
        and _CANCELLED not in event.get("ResourceStatusReason", "")
    ]
    if not failed:
        return "AWS gives no reason"
    first = min(reversed(failed), key=lambda event: event["Timestamp"])
    reason = one_line(first.get("ResourceStatusReason", "no reason given")).rstrip(".")
    return f"{first['LogicalResourceId']} ({first['ResourceType']}): {reason}"


def _remedy(reason: str) -> str:
    return next((remedy for text, remedy in _REMEDIES if text in reason.lower()), "")
