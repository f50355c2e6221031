"""An endpoint as a context manager: created, waited for, described, and always deleted."""

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
from deploy.aws.errors import user_message
from deploy.aws.read_only_endpoint import EndpointDescriber, plain
from deploy.aws.resources import KINDS, KindName
from deploy.lifecycle.creation import Creator
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.polling import AWS_POLLING, PollingPolicy
from deploy.lifecycle.progress import OnProgress, Progress, ignore_progress
from deploy.lifecycle.removal import LeftBehindError, Leftover, remove
from deploy.lifecycle.signals import interruptible, pending, shielded
from deploy.lifecycle.waiting import Wait
from deploy.spec import api_requests
from deploy.spec.endpoint_spec import EndpointSpec
from runfolder.manifest import PriceQuote


@dataclass
class Deployment:
    """An endpoint in service. The ledger has the times of its creation and deletion."""

    endpoint_name: str
    region: str
    component: str | None = None
    description: dict[str, Any] = field(default_factory=dict)
    in_service_at: float | None = None
    """Epoch seconds; None for an endpoint that existed before."""


@contextmanager
def deployed(
    spec: EndpointSpec,
    clients: Clients,
    ledger: Ledger,
    on_progress: OnProgress = ignore_progress,
    *,
    quote: PriceQuote | None = None,
    polling: PollingPolicy = AWS_POLLING,
    stop: Callable[[], str | None] = lambda: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Deployment]:
    """Create an endpoint, wait until it is in service, yield it, and always delete it.

    An existing endpoint is only described. Use inside `signals.orderly_exit`, so that signals delete it too.

    Args:
        spec: what to create; from `resolve.endpoint_specs`.
        clients: of the spec's region.
        ledger: written before every create call.
        on_progress: called at every look while waiting, and while deleting.
        quote: price of an instance-hour, for the cost so far.
        polling: how often to look and how long to wait.
        stop: called while waiting for InService; returns why to give up, or None.
        meanwhile: called once during a deletion that takes longer than a few seconds; must not raise.

    Raises:
        UserError: it cannot be created, failed, or is not in service in time.
        LeftBehindError: something could not be deleted; the message names the commands that delete it.
    """
    if spec.existing:
        yield _existing(spec, EndpointDescriber(clients))
        return
    deployment = Deployment(spec.name, spec.region, spec.component)
    launch = _Launch(
        spec=spec.starting_at(time.time()),
        clients=clients,
        ledger=ledger,
        on_progress=_never_raising(on_progress),
        quote=quote or PriceQuote(),
        polling=polling,
        stop=stop,
        deployment=deployment,
    )
    failed: BaseException | None = None
    with shielded():  # around everything, so that no signal can arrive between the run and its clean-up
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


def _never_raising(on_progress: OnProgress) -> OnProgress:
    """The same callback, but a closed terminal does not stop a deletion."""

    def report(progress: Progress) -> None:
        with contextlib.suppress(Exception, SystemExit):
            on_progress(progress)

    return report


def _existing(spec: EndpointSpec, describer: EndpointDescriber) -> Deployment:
    description = describer.describe(spec.name)
    names = [part["InferenceComponentName"] for part in description.get("inference_components", [])]
    component = spec.component
    if component and names and component not in names:
        raise UserError(
            f"endpoint {spec.name} has no inference component {component}", f"use one of {', '.join(names)}"
        )
    if component is None and len(names) > 1:
        raise UserError(
            f"endpoint {spec.name} has several inference components",
            f"name one under endpoint.components: {', '.join(names)}",
        )
    return Deployment(spec.name, spec.region, component or next(iter(names), None), description)


@dataclass
class _Launch:
    """One creation and its removal."""

    spec: EndpointSpec
    clients: Clients
    ledger: Ledger
    on_progress: OnProgress
    quote: PriceQuote
    polling: PollingPolicy
    stop: Callable[[], str | None]
    deployment: Deployment

    def bring_up(self) -> None:
        models = self.spec.models
        tokens = {model.name: model.container.hub_token.read(self.clients) for model in models}
        secrets = [token for token in tokens.values() if token]
        try:
            self._create(tokens)
        except UserError as error:  # AWS may quote what it refuses, including a token in an environment
            finding, remedy = redacted(error.finding, secrets), redacted(error.remedy, secrets)
            raise UserError(finding, remedy, error.setting) from None
        self.deployment.description = self._describe(secrets)

    def _create(self, tokens: Mapping[str, str | None]) -> None:
        spec = self.spec
        creator = Creator(self.clients, self.ledger, self.polling)
        for model in spec.models:
            request = api_requests.create_model(spec, model, tokens[model.name])
            creator.create(self._item("model", model.name), request)
        creator.create(self._item("endpoint-config", spec.name), api_requests.create_endpoint_config(spec))
        if spec.scheduler_role_arn:
            for schedule in api_requests.create_schedules(spec, self.clients.identity.partition):
                creator.create(self._item("schedule", str(schedule["Name"])), schedule)
        endpoint = self._item("endpoint", spec.name)
        endpoint = creator.create(endpoint, api_requests.create_endpoint(spec))
        wait = self._wait()
        wait.until_in_service(endpoint)
        for component in spec.components:
            request = api_requests.create_component(spec, component)
            wait.until_in_service(creator.create(self._item("inference-component", component.name), request))
        self.deployment.in_service_at = time.time()
        self.ledger.mark(endpoint, "in_service")

    def take_down(self, meanwhile: Callable[[], None]) -> list[Leftover]:
        items = [item for item in self.ledger.open_items(self.spec.run_id) if self._belongs(item)]
        return remove(
            items,
            self.clients,
            self.ledger,
            polling=self.polling,
            on_progress=self.on_progress,
            meanwhile=meanwhile,
        )

    def _belongs(self, item: Item) -> bool:
        spec = self.spec
        return (item.group, item.api, item.region) == (spec.name, self.clients.api, spec.region)

    def _item(self, kind: KindName, name: str) -> Item:
        billed = kind == "endpoint"
        return Item(
            kind=kind,
            name=name,
            group=self.spec.name,
            run_id=self.spec.run_id,
            owner=self.spec.owner,
            process=self.spec.process,
            region=self.spec.region,
            api=self.clients.api,
            account=self.clients.identity.account,
            created_at=time.time(),
            expires_at=self.spec.expires_at,
            instance_type=self.spec.instance_type if billed else None,
            instance_count=self.spec.instance_count,
            usd_per_hour=self.quote.usd_per_hour if billed else None,
        )

    def _wait(self) -> Wait:
        plan_limit_s = self.spec.startup_timeout + self.spec.download_timeout + self.polling.provisioning_s
        return Wait(
            clients=self.clients,
            on_progress=self.on_progress,
            polling=self.polling,
            limit_s=plan_limit_s if self.polling.in_service_s is None else self.polling.in_service_s,
            stop=self.stop,
            usual_s=self.ledger.usual_boot_s(self.clients.api, self.spec.instance_type),
        )

    def _describe(self, tokens: list[str]) -> dict[str, Any]:
        """What the API returns for all parts, with secrets redacted by name and by value."""
        spec = self.spec
        names: list[tuple[str, KindName, list[str]]] = [
            ("endpoint", "endpoint", [spec.name]),
            ("endpoint_config", "endpoint-config", [spec.name]),
            ("models", "model", [model.name for model in spec.models]),
            ("inference_components", "inference-component", [part.name for part in spec.components]),
        ]
        description: dict[str, Any] = {}
        try:
            for label, kind, each in names:
                answers = [resources.describe(self.clients, KINDS[kind], name) for name in each]
                description[label] = answers if label.endswith("s") else answers[0]
        except (ClientError, BotoCoreError) as error:
            description["not_described"] = user_message(error, f"describing {spec.name}")
        redacted_description: dict[str, Any] = plain(redacted(description, tokens))
        return redacted_description
