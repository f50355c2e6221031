"""AWS credentials from botocore's chain, frozen for the signer and renewed before they expire."""

import base64
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import botocore.session
import gevent
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from common.errors import UserError
from locustfiles.client.signing import SigningKeys

logger = logging.getLogger(__name__)

CHECK_S = 30.0
_BEARER_LIFETIME_S = 12 * 3600
_BEARER_RENEWAL = timedelta(minutes=10)


class CredentialKeeper:
    """Holds the keys that users sign with; a background greenlet renews them, so no user ever waits.

    botocore renews credentials 15 minutes before they expire, but only when they are read; this class reads
    them every ``CHECK_S`` seconds.

    Raises:
        UserError: there are no credentials, or they cannot be loaded.
    """

    def __init__(self, load: Callable[[], Credentials | None] | None = None) -> None:
        load = load or botocore.session.Session().get_credentials
        try:
            credentials = load()
            if credentials is None:
                raise UserError("there are no AWS credentials", "set AWS_PROFILE or run `aws configure`")
            self._credentials = credentials
            self.keys = self._frozen()
        except (BotoCoreError, ClientError) as error:
            raise UserError(f"the AWS credentials cannot be loaded: {error}") from None

    def _frozen(self) -> SigningKeys:
        frozen = self._credentials.get_frozen_credentials()
        return SigningKeys(frozen.access_key or "", frozen.secret_key or "", frozen.token)

    def renew(self) -> None:
        """Read the chain again. After a failure the old keys stay in use until the server refuses them."""
        try:
            fresh = self._frozen()
        except (BotoCoreError, ClientError, OSError, RuntimeError) as error:
            logger.warning("The AWS credentials could not be renewed: %s", error)
            return
        if fresh != self.keys:
            self.keys = fresh

    def keep_fresh(self) -> None:
        """Renew forever; to be spawned as a greenlet."""
        while True:
            gevent.sleep(CHECK_S)
            self.renew()


class BearerToken:
    """Token of the OpenAI-compatible route: a presigned CallWithBearerToken, renewed every ten minutes.

    Same form as ``sagemaker.core.token_generator``.
    """

    def __init__(self, keeper: CredentialKeeper, region: str) -> None:
        self._keeper = keeper
        self._region = region
        self._made_at = datetime.min.replace(tzinfo=UTC)
        self._made_with: SigningKeys | None = None
        self._value = ""
        self._lock = threading.Lock()

    def value(self) -> str:
        """The current token."""
        now = datetime.now(UTC)
        with self._lock:
            if self._made_with is not self._keeper.keys or now - self._made_at > _BEARER_RENEWAL:
                self._value = bearer_token(self._keeper.keys, self._region)
                self._made_at, self._made_with = now, self._keeper.keys
            return self._value


def bearer_token(keys: SigningKeys, region: str) -> str:
    """``sagemaker-api-key-`` and the base64 of a presigned request that proves this identity."""
    request = AWSRequest(
        method="POST",
        url="https://sagemaker.amazonaws.com/",
        headers={"host": "sagemaker.amazonaws.com"},
        params={"Action": "CallWithBearerToken"},
    )
    credentials = Credentials(keys.access_key, keys.secret_key, keys.token)
    SigV4QueryAuth(credentials, "sagemaker", region, expires=_BEARER_LIFETIME_S).add_auth(request)
    presigned = f"{str(request.url).removeprefix('https://')}&Version=1"
    return f"sagemaker-api-key-{base64.b64encode(presigned.encode()).decode()}"
