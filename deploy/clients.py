"""Clients for the AWS services, made when first asked for, with one region and one identity for all."""

import os
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.configprovider import ConstantProvider
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from configs.errors import UserError
from deploy.failures import NO_CREDENTIALS, told

_ATTEMPTS = 6
_METADATA_S = 0.5
_PRICE_LIST_REGION = "us-east-1"


@dataclass(frozen=True)
class Identity:
    """Whose account the calls go to."""

    account: str
    arn: str
    partition: str
    clock_skew_s: float | None = None
    """This machine's clock minus the service's, to the second; None when the answer bore no date."""


class Clients:
    """The control plane of one region. Clients are cached; none is made before it is used."""

    def __init__(self, session: Session, region: str, attempts: int = _ATTEMPTS) -> None:
        self.session = session
        self.region = region
        self._attempts = attempts
        self._config = Config(
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
            UserError: no credentials (with both ways on), or no region.
        """
        session = _session(region)
        found = session.get_config_variable("region")
        if not found:
            raise UserError("no AWS region: set endpoint.region in the plan, or AWS_REGION")
        return cls(session, str(found), attempts)

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
            self._made[key] = self.session.create_client(service, region_name=key[1], config=self._config)
        return self._made[key]

    @property
    def sagemaker(self) -> Any:
        """The SageMaker control plane."""
        return self.client("sagemaker")

    @property
    def pricing(self) -> Any:
        """The Price List API, which lives in few regions and answers for all."""
        return self.client("pricing", _PRICE_LIST_REGION)

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


def _skew(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _session(region: str | None) -> Session:
    session = botocore.session.get_session()
    if "AWS_METADATA_SERVICE_TIMEOUT" not in os.environ:
        # An instance profile answers in milliseconds; where there is none, nobody should wait for it.
        quick = ConstantProvider(value=_METADATA_S)
        session.get_component("config_store").set_config_provider("metadata_service_timeout", quick)
    if region := region or os.environ.get("AWS_REGION"):
        session.set_config_variable("region", region)
    try:
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise UserError(f"the AWS configuration cannot be used: {error}") from error
    if credentials is None:
        raise UserError(NO_CREDENTIALS)
    return session
