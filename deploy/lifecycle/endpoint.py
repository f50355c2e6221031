"""An endpoint as a context: created or found, awaited, described, and deleted whatever happens."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import UserError
from configs.secrets import redacted
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import sentence
from deploy.aws.read_only_endpoint import EndpointReader, plain
from deploy.aws.resources import KINDS, KindName
from deploy.lifecycle.creation import Creator
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.polling import AWS_PACE, Pace
from deploy.lifecycle.removal import LeftBehindError, Leftover, remove
from deploy.lifecycle.signals import interruptible, pending, shielded
from deploy.lifecycle.waiting import Progress, Wait
from deploy.spec import api_requests
from deploy.spec.endpoint_spec import Target
from runfolder.manifest import PriceQuote


@dataclass
class Deployment:
    """An endpoint in service. Times are epoch seconds; None where it was not ours to create or delete."""

    endpoint_name: str
    region: str
    component: str | None = None
    description: dict[str, Any] = field(default_factory=dict)
    create_started_at: float | None = None
    in_service_at: float | None = None
    deleted_at: float | None = None


def silent(_status: str, _elapsed: float, _usual: float | None, _cost: float | None) -> None:
    """A `Progress` that says nothing."""


@contextmanager
def deployed(
    target: Target,
    clients: Clients,
    ledger: Ledger,
    progress: Progress = silent,
    *,
    quote: PriceQuote | None = None,
    pace: Pace = AWS_PACE,
    stop: Callable[[], str | None] = lambda: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Deployment]:
    """Create ``target``, wait until it is in service, yield it, and delete it whatever happens.

    An existing target is only looked at. Use inside `signals.orderly_exit`, so that signals end it in order.

    Args:
        target: what to create; from `resolve.targets`.
        clients: of the target's region.
        ledger: written before every create call.
        progress: told of every look while waiting.
        quote: price of an instance-hour, for the cost so far.
        pace: how often to look and how long to wait.
        stop: asked while waiting for it to come into service: why to give up, or None.
        meanwhile: called once while a deletion that takes longer than seconds goes on; must not raise.

    Raises:
        UserError: it cannot be created, failed, or does not come into service in time.
        LeftBehindError: something could not be deleted; the message has the commands.
    """
    if target.existing:
        yield _found(target, EndpointReader(clients))
        return
    deployment = Deployment(target.name, target.region, target.component)
    launch = _Launch(
        target=target.starting_at(time.time()),
        clients=clients,
        ledger=ledger,
        progress=_harmless(progress),
        quote=quote or PriceQuote(),
        pace=pace,
        stop=stop,
        deployment=deployment,
    )
    failed: BaseException | None = None
    with shielded():  # around everything, so that no signal can fall between the run and its clean-up
        try:
            with interruptible():
                launch.bring_up()
                yield deployment
        except BaseException as error:
            failed = error
            raise
        finally:
            if left := launch.take_down(meanwhile):
                raise LeftBehindError(left, after=failed or pending())


def _harmless(progress: Progress) -> Progress:
    """A progress that never fails: a terminal that is gone must not decide what is deleted."""

    def told(status: str, elapsed: float, usual: float | None, cost: float | None) -> None:
        with contextlib.suppress(Exception, SystemExit):
            progress(status, elapsed, usual, cost)

    return told


def _found(target: Target, reader: EndpointReader) -> Deployment:
    description = reader.describe(target.name)
    known = [part["InferenceComponentName"] for part in description.get("inference_components", [])]
    component = target.component
    if component and known and component not in known:
        raise UserError(
            f"endpoint {target.name} has no inference component {component}; it has {', '.join(known)}"
        )
    if component is None and len(known) > 1:
        raise UserError(
            f"endpoint {target.name} has several inference components: name one under endpoint.components "
            f"({', '.join(known)})"
        )
    return Deployment(target.name, target.region, component or next(iter(known), None), description)


@dataclass
class _Launch:
    """One creation and its removal."""

    target: Target
    clients: Clients
    ledger: Ledger
    progress: Progress
    quote: PriceQuote
    pace: Pace
    stop: Callable[[], str | None]
    deployment: Deployment

    def bring_up(self) -> None:
        models = self.target.models
        tokens = {model.name: model.container.hub_token.read(self.clients) for model in models}
        known = [token for token in tokens.values() if token]
        try:
            self._create(tokens)
        except UserError as error:  # AWS repeats what it refuses, a token in an environment too
            raise UserError(redacted(str(error), known)) from None
        self.deployment.description = self._describe(known)

    def _create(self, tokens: Mapping[str, str | None]) -> None:
        target = self.target
        creator = Creator(self.clients, self.ledger, self.pace)
        for model in target.models:
            request = api_requests.create_model(target, model, tokens[model.name])
            creator.create(self._item("model", model.name), request)
        creator.create(
            self._item("endpoint-config", target.name), api_requests.create_endpoint_config(target)
        )
        if target.scheduler_role_arn:
            for schedule in api_requests.create_schedules(target, self.clients.identity.partition):
                creator.create(self._item("schedule", str(schedule["Name"])), schedule)
        endpoint = self._item("endpoint", target.name)
        self.deployment.create_started_at = endpoint.created_at
        endpoint = creator.create(endpoint, api_requests.create_endpoint(target))
        wait = self._wait()
        wait.until_in_service(endpoint)
        for component in target.components:
            request = api_requests.create_component(target, component)
            wait.until_in_service(creator.create(self._item("inference-component", component.name), request))
        self.deployment.in_service_at = time.time()
        self.ledger.mark(endpoint, "in_service")

    def take_down(self, meanwhile: Callable[[], None]) -> list[Leftover]:
        started = time.monotonic()

        def told(item: Item, state: str) -> None:
            self.progress(f"{item.kind}: {state}", time.monotonic() - started, None, None)

        mine = [item for item in self.ledger.open_items(self.target.run_id) if self._belongs(item)]
        left = remove(mine, self.clients, self.ledger, pace=self.pace, told=told, meanwhile=meanwhile)
        if self.deployment.create_started_at and all(one.item.kind != "endpoint" for one in left):
            self.deployment.deleted_at = time.time()
        return left

    def _belongs(self, item: Item) -> bool:
        target = self.target
        return (item.group, item.api, item.region) == (target.name, self.clients.api, target.region)

    def _item(self, kind: KindName, name: str) -> Item:
        billed = kind == "endpoint"
        return Item(
            kind=kind,
            name=name,
            group=self.target.name,
            run_id=self.target.run_id,
            owner=self.target.owner,
            process=self.target.process,
            region=self.target.region,
            api=self.clients.api,
            account=self.clients.identity.account,
            created_at=time.time(),
            expires_at=self.target.expires_at,
            instance_type=self.target.instance_type if billed else None,
            instance_count=self.target.instance_count,
            usd_per_hour=self.quote.usd_per_hour if billed else None,
        )

    def _wait(self) -> Wait:
        allowed = self.target.startup_timeout + self.target.download_timeout + self.pace.provision
        return Wait(
            clients=self.clients,
            progress=self.progress,
            pace=self.pace,
            limit=allowed if self.pace.in_service is None else self.pace.in_service,
            stop=self.stop,
            usual=self.ledger.usual_boot_s(self.clients.api, self.target.instance_type),
        )

    def _describe(self, tokens: list[str]) -> dict[str, Any]:
        """What the API says of all parts, secrets redacted by name and by value."""
        target = self.target
        names: list[tuple[str, KindName, list[str]]] = [
            ("endpoint", "endpoint", [target.name]),
            ("endpoint_config", "endpoint-config", [target.name]),
            ("models", "model", [model.name for model in target.models]),
            ("inference_components", "inference-component", [part.name for part in target.components]),
        ]
        found: dict[str, Any] = {}
        try:
            for label, kind, each in names:
                answers = [resources.describe(self.clients, KINDS[kind], name) for name in each]
                found[label] = answers if label.endswith("s") else answers[0]
        except (ClientError, BotoCoreError) as error:
            found["not_described"] = sentence(error, f"describing {target.name}")
        described: dict[str, Any] = plain(redacted(found, tokens))
        return described
