"""Clients of the AWS services: created on first use, with one region and one identity."""

import os
import time
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.configprovider import ConstantProvider
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, UnknownRegionError
from botocore.session import Session

from common.errors import UserError
from configs.plan import Endpoint
from deploy.aws.errors import as_user_error, no_credentials, user_error
from deploy.aws.response_checks import check_answers

_ATTEMPTS = 6
_QUICK_ATTEMPTS = 2
_CONNECT_S = 5
_QUICK_CONNECT_S = 2
_METADATA_S = 0.5
_PRICE_LIST_REGION = "us-east-1"
_EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"


@dataclass(frozen=True)
class Identity:
    """The account and principal that the credentials belong to."""

    account: str
    arn: str
    partition: str
    clock_skew_s: float | None = None
    """This machine's clock minus AWS's, to the second; None when the response had no Date header."""


@dataclass(frozen=True)
class Temporary:
    """Session credentials that expire and are not renewed."""

    expires_at: float | None
    """Epoch seconds; None where the expiry is not known."""


class Clients:
    """The clients of one region, each created on first use and cached."""

    def __init__(self, session: Session, region: str, attempts: int = _ATTEMPTS) -> None:
        self.session = session
        self.region = region
        self._attempts = attempts
        self.config = Config(
            # Adaptive retries do no harm: nothing measures the control plane.
            retries={"mode": "adaptive", "total_max_attempts": attempts},
            connect_timeout=_CONNECT_S if attempts > _QUICK_ATTEMPTS else _QUICK_CONNECT_S,
            read_timeout=30,
            user_agent_extra="sagemaker-llm-bench",
        )
        self._made: dict[tuple[str, str], Any] = {}

    @classmethod
    def from_environment(cls, region: str | None = None, attempts: int = _ATTEMPTS) -> "Clients":
        """Find credentials and region as boto3 does, within seconds.

        Args:
            region: the plan's region; else AWS_REGION, AWS_DEFAULT_REGION or the profile's.
            attempts: how many times in total a throttled or failed call is made.

        Raises:
            UserError: there are no credentials, they have expired, or no region is set.
        """
        session = _session(region)
        configured = session.get_config_variable("region")
        if not configured:
            raise UserError("no AWS region is set", "set endpoint.region in the plan, or AWS_REGION")
        clients = cls(session, str(configured), attempts)
        temporary = clients.temporary
        if temporary and temporary.expires_at is not None and temporary.expires_at <= time.time():
            raise UserError(f"the AWS credentials have expired (by {_EXPIRATION})", "renew them")
        return clients

    @classmethod
    def for_endpoint(cls, endpoint: Endpoint) -> "Clients":
        """As `from_environment`, for a plan's endpoint.

        An existing endpoint needs only the runtime API, so calls to other services are retried less, and a
        subnet that drops them costs little time.
        """
        return cls.from_environment(endpoint.region, attempts=_QUICK_ATTEMPTS if endpoint.name else _ATTEMPTS)

    def quick(self) -> "Clients":
        """The same with fewer attempts per call, for callers that retry by themselves."""
        if self._attempts <= _QUICK_ATTEMPTS:
            return self
        return Clients(self.session, self.region, _QUICK_ATTEMPTS)

    def renewed(self) -> "Clients":
        """The same with credentials read again: they may have been renewed during the run."""
        try:
            return Clients(_session(self.region), self.region, self._attempts)
        except UserError:
            return self

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of ``service``, with retries and bounded time-outs."""
        key = (service, region or self.region)
        if key not in self._made:
            self._made[key] = self.session.create_client(service, region_name=key[1], config=self.config)
        return self._made[key]

    @property
    def sagemaker(self) -> Any:
        """The SageMaker control plane."""
        return self.client("sagemaker")

    @property
    def pricing(self) -> Any | None:
        """The Price List API of this partition; None where the partition has none."""
        try:
            partition = self.session.get_partition_for_region(self.region)
        except UnknownRegionError:
            partition = "aws"
        regions = self.session.get_available_regions("pricing", partition)
        first = next(
            (region for region in regions if region == _PRICE_LIST_REGION), next(iter(regions), None)
        )
        return self.client("pricing", first) if first else None

    @property
    def temporary(self) -> "Temporary | None":
        """When the credentials expire; None where they do not expire or botocore renews them."""
        credentials = self.session.get_credentials()
        if not isinstance(credentials, RefreshableCredentials):
            return Temporary(None) if credentials and credentials.token else None
        if credentials.method != "env":
            return None  # a role, single sign-on or an instance profile: botocore renews them
        return Temporary(_epoch(os.environ.get(_EXPIRATION)))

    @property
    def api(self) -> str:
        """The URL of the control plane: AWS's, or a local server's."""
        return str(self.sagemaker.meta.endpoint_url)

    @cached_property
    def identity(self) -> Identity:
        """The caller's account, requested from STS once.

        Raises:
            UserError: STS rejects the credentials or cannot be reached.
        """
        with as_user_error("looking up the AWS credentials' account"):
            answer = self.client("sts").get_caller_identity()
        arn = answer["Arn"]
        return Identity(
            account=answer["Account"],
            arn=arn,
            partition=arn.split(":")[1],
            clock_skew_s=_skew(answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")),
        )


def _epoch(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:
        return None


def _skew(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


@cache
def _service_models() -> Any:
    """Botocore's loader, which keeps what it has read. SageMaker's model alone takes 0.2 s."""
    return botocore.session.get_session().get_component("data_loader")


def _session(region: str | None) -> Session:
    session = botocore.session.get_session()
    session.register_component("data_loader", _service_models())
    check_answers(session)
    if "AWS_METADATA_SERVICE_TIMEOUT" not in os.environ:
        # An instance profile answers in milliseconds; where there is none, do not wait for it.
        quick = ConstantProvider(value=_METADATA_S)
        session.get_component("config_store").set_config_provider("metadata_service_timeout", quick)
    if region := region or os.environ.get("AWS_REGION"):
        session.set_config_variable("region", region)
    try:
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise user_error(error, "reading the AWS configuration") from error
    if credentials is None:
        raise no_credentials()
    return session
