"""Our signer against botocore's, byte for byte."""

import hashlib
from datetime import UTC, datetime
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from locustfiles.client.signing import RequestSigner, SigningKeys

REGIONS = st.sampled_from(["us-east-1", "eu-west-3", "cn-north-1", "us-gov-west-1"])
TOKEN = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40)
NAMES = st.from_regex(r"\A[A-Za-z0-9](-*[A-Za-z0-9]){0,62}\Z")
VALUES = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=30).map(
    str.strip
)
VARYING = st.dictionaries(
    st.sampled_from(["X-Amzn-SageMaker-Inference-Id", "X-Amzn-SageMaker-Session-Id", "A-First-One"]),
    st.from_regex(r"\A[A-Za-z0-9._-]{1,20}\Z"),
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Content-Type",
            "Accept",
            "X-Amzn-SageMaker-Accept",
            "X-Amzn-SageMaker-Inference-Component",
            "X-Amzn-SageMaker-Custom-Attributes",
        ]
    ),
    VALUES.filter(bool),
    max_size=5,
)
MOMENTS = st.integers(min_value=1_700_000_000, max_value=2_000_000_000)


def by_botocore(  # noqa: PLR0917 - as the signer is called
    url: str, headers: dict[str, str], body: bytes, keys: SigningKeys, region: str, moment: int
) -> dict[str, str]:
    request = AWSRequest(method="POST", url=url, data=body, headers=headers)
    credentials = Credentials(keys.access_key, keys.secret_key, keys.token)
    with patch("botocore.auth.get_current_datetime") as now:
        now.return_value = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
        SigV4Auth(credentials, "sagemaker", region).add_auth(request)
    added = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")
    return {name: request.headers[name] for name in added if name in request.headers}


@settings(max_examples=150)
@given(
    name=NAMES,
    path=st.sampled_from(["/invocations", "/invocations-response-stream", "/a b/ü~*", ""]),
    host=st.sampled_from(["runtime.sagemaker.eu-west-3.amazonaws.com", "127.0.0.1:8123", "localhost"]),
    headers=HEADERS,
    varying=VARYING,
    body=st.binary(max_size=300),
    keys=st.builds(SigningKeys, TOKEN, TOKEN, st.none() | TOKEN),
    region=REGIONS,
    moment=MOMENTS,
)
def test_equal_to_botocores_signer(  # noqa: PLR0917 - generated arguments
    name: str,
    path: str,
    host: str,
    headers: dict[str, str],
    varying: dict[str, str],
    body: bytes,
    keys: SigningKeys,
    region: str,
    moment: int,
) -> None:
    signer = RequestSigner(
        method="POST",
        host=host,
        path=f"/endpoints/{name}{path}",
        headers=headers,
        region=region,
        service="sagemaker",
    )
    ours = dict(signer.headers(hashlib.sha256(body).hexdigest(), keys, moment + 0.7, varying))
    url = f"http://{host}/endpoints/{name}{path}"
    assert ours == varying | by_botocore(url, headers | varying, body, keys, region, moment)


@given(
    moments=st.lists(MOMENTS, min_size=2, max_size=6),
    which=st.lists(st.integers(0, 1), min_size=6, max_size=6),
    varying=st.lists(VARYING, min_size=6, max_size=6),
)
def test_what_is_cached_never_outlives_its_second_its_day_or_its_keys(
    moments: list[int], which: list[int], varying: list[dict[str, str]]
) -> None:
    both = (SigningKeys("AKIAONE", "first", None), SigningKeys("ASIATWO", "second", "token"))
    signer = RequestSigner(
        method="POST", host="h", path="/p", headers={"Accept": "a"}, region="us-east-1", service="sagemaker"
    )
    for moment, index, more in zip(moments, which, varying, strict=False):
        keys = both[index]
        ours = dict(signer.headers(hashlib.sha256(b"x").hexdigest(), keys, moment, more))
        headers = {"Accept": "a"} | more
        assert ours == more | by_botocore("http://h/p", headers, b"x", keys, "us-east-1", moment)


def test_keys_do_not_show_their_secrets() -> None:
    shown = repr(SigningKeys("AKIAEXAMPLE", "very-secret", "session-token"))
    assert "very-secret" not in shown
    assert "session-token" not in shown
