"""A planted token reaches the container, and nothing that anyone keeps or reads."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from configs.plan import Plan
from configs.secrets import REDACTED, is_secret_name, redacted
from deploy.aws.clients import Clients
from deploy.aws.secrets import HubToken
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Ledger
from deploy.preflight.preflight import preflight
from deploy.spec.resolve import endpoint_specs
from tests.deploy.harness import IMAGE, QUICK, Account, plan

PLANTED = "plantedvalue-0123456789abcdefghij"
MODEL = {"name": "Gated", "source": "image", "image": IMAGE}
BY_ENV = plan(model=MODEL | {"hub_token_env": "BENCH_TEST_TOKEN"})
BY_SECRET = plan(model=MODEL | {"hub_token_secret": "hub-token"})


@pytest.fixture
def planted(account: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("BENCH_TEST_TOKEN", PLANTED)
    account.secrets({"hub-token": PLANTED})
    return account


@pytest.mark.parametrize("chosen", [BY_ENV, BY_SECRET], ids=["environment", "secrets-manager"])
def test_the_token_reaches_the_container_and_nothing_else(
    chosen: Plan, planted: Account, clients: Clients, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    said: list[str] = []
    ledger = Ledger(tmp_path / "ledger")
    found = preflight(chosen, lambda: clients, ledger)
    spec = endpoint_specs(chosen, "secret-run", clients)[0]
    with deployed(spec, clients, ledger, lambda *words: said.append(str(words)), polling=QUICK) as deployment:
        model = clients.sagemaker.describe_model(ModelName=spec.name)
        description = json.dumps(deployment.description)
    assert model["PrimaryContainer"]["Environment"]["HF_TOKEN"] == PLANTED
    assert REDACTED in description
    kept = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "creating" in kept, "the ledger is not where this test looks"
    for place in (description, kept, repr(spec), repr(found), "".join(said), caplog.text):
        assert PLANTED not in place


@pytest.mark.parametrize("fault", ["access_denied", "resource_limit", "name_taken"])
def test_a_failing_create_does_not_tell_the_token(
    fault: str, planted: Account, clients: Clients, ledger: Ledger
) -> None:
    planted.faults([{"call": "CreateModel", "fault": fault, "nth": 0}])
    spec = endpoint_specs(BY_ENV, "secret-run", clients)[0]
    with pytest.raises(UserError) as caught, deployed(spec, clients, ledger, polling=QUICK):
        pass
    assert PLANTED not in str(caught.value)


def test_a_token_that_is_named_and_not_there_stops_before_anything_is_created(
    account: Account, clients: Clients, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_TEST_TOKEN", raising=False)
    for chosen, named in ((BY_ENV, "BENCH_TEST_TOKEN"), (BY_SECRET, "hub-token-that-is-not-there")):
        model = chosen.model.model_copy(update={"hub_token_secret": chosen.model.hub_token_secret and named})
        spec = endpoint_specs(chosen.model_copy(update={"model": model}), "none", clients)[0]
        with pytest.raises(UserError, match=named), deployed(spec, clients, ledger, polling=QUICK):
            pass
    assert account.left() == []
    assert ledger.items() == []


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "DB_PASSWORD", "API_KEY", "my_secret"]
)
def test_a_secret_in_the_plan_is_refused(name: str, account: Account, clients: Clients) -> None:
    with pytest.raises(UserError, match="hub_token_env"):
        endpoint_specs(plan(model=MODEL | {"env": {name: "value"}}), "run", clients)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_AUTH", "hf_abcdefghijklmnopqrst"),
        ("AWS_ACCESS_KEY_ID", "AKIAABCDEFGHIJKLMNOP"),
        ("HTTPS_PROXY", "http://user:open-sesame@proxy:3128"),
    ],
)
@pytest.mark.parametrize("place", ["model", "component", "existing"])
def test_a_secret_is_known_by_its_value_wherever_the_plan_has_it(
    place: str, name: str, value: str, clients: Clients
) -> None:
    telling, silent = MODEL | {"env": {name: value}}, MODEL
    endpoint: dict[str, Any] = {"instance_type": "ml.g5.xlarge"}
    if place == "component":
        endpoint["components"] = [{"name": "main", "model": telling}]
    if place == "existing":
        endpoint["name"] = "theirs"
    chosen = plan(model=silent if place == "component" else telling, endpoint=endpoint)
    with pytest.raises(UserError, match=rf"model\.env\.{name}") as caught:
        endpoint_specs(chosen, "run", clients)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "text", [PLANTED, f" {PLANTED}\n", json.dumps({"HF_TOKEN": PLANTED}), json.dumps({"a": PLANTED, "b": 1})]
)
def test_a_secret_is_its_text_or_the_one_value_of_its_json(
    text: str, account: Account, clients: Clients
) -> None:
    account.secrets({"hub-token": text})
    assert HubToken(secret="hub-token").read(clients) == PLANTED


@pytest.mark.parametrize(
    ("text", "said"), [(json.dumps({"one": PLANTED, "two": PLANTED}), "several values"), ("{}", "is empty")]
)
def test_a_secret_that_is_not_one_text_is_refused_without_being_told(
    text: str, said: str, account: Account, clients: Clients
) -> None:
    account.secrets({"hub-token": text})
    with pytest.raises(UserError, match=said) as caught:
        HubToken(secret="hub-token").read(clients)
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize("name", ["MAX_TOTAL_TOKENS", "MAX_BATCH_PREFILL_TOKENS", "SM_NUM_GPUS", "TOKENIZER"])
def test_numbers_of_tokens_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


@given(
    st.recursive(
        st.text(max_size=5) | st.just(f"before {PLANTED} after") | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )
)
def test_a_known_secret_is_found_wherever_it_is(value: object) -> None:
    assert PLANTED not in json.dumps(redacted(value, [PLANTED]))


def test_what_is_no_secret_stays() -> None:
    value = {"a": [1, None, "text"], "HF_TOKEN": "x", "b": {"MAX_TOTAL_TOKENS": "4096"}}
    assert redacted(value) == {
        "a": [1, None, "text"],
        "HF_TOKEN": REDACTED,
        "b": {"MAX_TOTAL_TOKENS": "4096"},
    }
    assert redacted("token hf_abcdefghijklmnopqrst here") == f"token {REDACTED} here"
    assert redacted("at http://user:open-sesame@host:1/x") == f"at http://{REDACTED}@host:1/x"
    assert redacted("s3://bucket/a:b/c@d") == "s3://bucket/a:b/c@d"


def test_no_token_is_asked_for_when_none_is_named(clients: Clients) -> None:
    assert HubToken().read(clients) is None
