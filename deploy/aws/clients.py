"""Clients for the AWS services, made when first asked for, with one region and one identity for all."""

import os
import time
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.configprovider import ConstantProvider
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, UnknownRegionError
from botocore.session import Session

from common.errors import UserError
from configs.plan import Endpoint
from deploy.aws.errors import NO_CREDENTIALS, sentence, told
from deploy.aws.response_checks import check_answers

_ATTEMPTS = 6
_QUICK_ATTEMPTS = 2
_METADATA_S = 0.5
_PRICE_LIST_REGION = "us-east-1"
_EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"


@dataclass(frozen=True)
class Identity:
    """Whose account the calls go to."""

    account: str
    arn: str
    partition: str
    clock_skew_s: float | None = None
    """This machine's clock minus the service's, to the second; None when the answer bore no date."""


@dataclass(frozen=True)
class Temporary:
    """Credentials of a session that end and are not renewed."""

    expires_at: float | None
    """Epoch seconds; None where nothing says when."""


class Clients:
    """The control plane of one region. Clients are cached; none is made before it is used."""

    def __init__(self, session: Session, region: str, attempts: int = _ATTEMPTS) -> None:
        self.session = session
        self.region = region
        self._attempts = attempts
        self.config = Config(
            # Adaptive retries do no harm here: nothing on the control plane is timed.
            retries={"mode": "adaptive", "total_max_attempts": attempts},
            connect_timeout=5,
            read_timeout=30,
            user_agent_extra="sagemaker-llm-bench",
        )
        self._made: dict[tuple[str, str], Any] = {}

    @classmethod
    def from_environment(cls, region: str | None = None, attempts: int = _ATTEMPTS) -> "Clients":
        """Find credentials and region the way boto3 does, within seconds.

        Args:
            region: the plan's region; else AWS_REGION, AWS_DEFAULT_REGION or the profile's.
            attempts: how often a call that AWS throttles or fails is made in all.

        Raises:
            UserError: no credentials (with both ways on), ended ones, or no region.
        """
        session = _session(region)
        found = session.get_config_variable("region")
        if not found:
            raise UserError("no AWS region: set endpoint.region in the plan, or AWS_REGION")
        clients = cls(session, str(found), attempts)
        end = clients.temporary
        if end and end.expires_at is not None and end.expires_at <= time.time():
            raise UserError(f"the AWS credentials have ended (by {_EXPIRATION}): renew them")
        return clients

    @classmethod
    def for_endpoint(cls, endpoint: Endpoint) -> "Clients":
        """As `from_environment`, for a plan's endpoint.

        One that exists needs no answer but the runtime's: what cannot be reached is not tried for long.
        """
        return cls.from_environment(endpoint.region, attempts=_QUICK_ATTEMPTS if endpoint.name else _ATTEMPTS)

    def quick(self) -> "Clients":
        """The same with few attempts of each call, for a caller that asks again by itself."""
        if self._attempts <= _QUICK_ATTEMPTS:
            return self
        return Clients(self.session, self.region, _QUICK_ATTEMPTS)

    def renewed(self) -> "Clients":
        """The same with credentials read anew: somebody may have renewed them while a run went on."""
        try:
            return Clients(_session(self.region), self.region, self._attempts)
        except UserError:
            return self

    def client(self, service: str, region: str | None = None) -> Any:
        """A cached client of ``service`` with retries and bounded time-outs."""
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
        """The Price List API, which answers for a whole partition from one region of it; None without one."""
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
        """The credentials' end, where nothing renews them; None where they last or are renewed."""
        credentials = self.session.get_credentials()
        if not isinstance(credentials, RefreshableCredentials):
            return Temporary(None) if credentials and credentials.token else None
        if credentials.method != "env":
            return None  # a role, a single sign-on, an instance: botocore asks it for new ones
        return Temporary(_epoch(os.environ.get(_EXPIRATION)))

    @property
    def api(self) -> str:
        """Where the control plane's calls go: what tells one account's server from another's."""
        return str(self.sagemaker.meta.endpoint_url)

    @cached_property
    def identity(self) -> Identity:
        """The caller's account, asked of STS once.

        Raises:
            UserError: the credentials are refused, or the service cannot be reached.
        """
        with told("asking who the AWS credentials belong to"):
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


def _session(region: str | None) -> Session:
    session = botocore.session.get_session()
    check_answers(session)
    if "AWS_METADATA_SERVICE_TIMEOUT" not in os.environ:
        # An instance profile answers in milliseconds; where there is none, nobody should wait for it.
        quick = ConstantProvider(value=_METADATA_S)
        session.get_component("config_store").set_config_provider("metadata_service_timeout", quick)
    if region := region or os.environ.get("AWS_REGION"):
        session.set_config_variable("region", region)
    try:
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise UserError(sentence(error, "reading the AWS configuration")) from error
    if credentials is None:
        raise UserError(NO_CREDENTIALS)
    return session
