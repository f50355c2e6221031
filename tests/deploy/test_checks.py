"""What a preflight says of a plan: each line ok, warning or stop, with its remedy."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.preflight import plan_checks
from deploy.preflight.account_checks import may_assume
from deploy.preflight.estimate import BOOT_S, TEARDOWN_S, Estimate, answer_tokens, estimate
from deploy.preflight.plan_checks import MachineFacts, PayloadFacts
from deploy.spec.endpoint_spec import Container, EndpointSpec, ModelSpec
from runfolder.manifest import PriceQuote
from tests.deploy.harness import IMAGE, plan

QUOTES = {"ml.g5.xlarge": PriceQuote(usd_per_hour=3.6)}
SPEC = EndpointSpec("bench", "run", "us-east-1", "ml.g5.xlarge")


def workload(tokens: int | None, *, stream: bool = True) -> dict[str, Any]:
    return {"payload": "en", "stream": stream, "parameters": {} if tokens is None else {"max_tokens": tokens}}


@pytest.mark.parametrize(
    ("tokens", "stream", "level"),
    [
        (100, True, "ok"),
        (100, False, "ok"),
        (1_000, False, "warning"),
        (2_000, False, "stop"),
        (20_000, True, "stop"),
        (None, True, "warning"),
    ],
)
def test_answer_time_against_the_limit_of_its_kind(tokens: int | None, stream: bool, level: str) -> None:  # noqa: FBT001 - a table's column
    check = plan_checks.check_answer_time(plan(workload=workload(tokens, stream=stream)))
    assert check.level == level
    assert (check.remedy == "") == (level == "ok")
    assert ("60 s" in check.finding) != stream


def test_a_payload_beyond_the_limit_stops() -> None:
    assert plan_checks.check_payload_size(PayloadFacts("en", 10, 6_291_456, None)).level == "ok"
    assert plan_checks.check_payload_size(PayloadFacts("en", 10, 6_291_457, None)).level == "stop"


@pytest.mark.parametrize(("context", "level"), [(1100, "ok"), (1099, "stop"), (None, "warning")])
def test_prompt_and_answer_must_fit_the_context(context: int | None, level: str) -> None:
    chosen = plan(
        model={"name": "M", "source": "image", "image": IMAGE, "context_length": context},
        workload=workload(100),
    )
    assert plan_checks.check_context(chosen, [PayloadFacts("en", 10, 10, 1000)]).level == level


def test_an_answer_without_a_limit_is_not_one_of_no_tokens() -> None:
    chosen = plan(workload=workload(None))
    finding = plan_checks.check_context(chosen, [PayloadFacts("en", 10, 10, None)]).finding
    assert "an unknown number of prompt tokens, and answers without a limit" in finding


def test_a_connection_per_user_must_be_allowed() -> None:
    chosen = plan(load={"concurrency": [1, 1000]})
    assert plan_checks.check_open_files(chosen, MachineFacts(2256, None)).level == "ok"
    stopped = plan_checks.check_open_files(chosen, MachineFacts(2255, None))
    assert stopped.level == "stop"
    assert "2256" in stopped.remedy


def test_a_full_disk_stops() -> None:
    course = estimate(plan(), QUOTES)
    assert plan_checks.check_disk(MachineFacts(None, 10**12), course).level == "ok"
    assert plan_checks.check_disk(MachineFacts(None, 10**6), course).level == "stop"


def test_every_turn_of_a_conversation_counts_as_a_request() -> None:
    load = {"rate": [2], "warm_up": "10s", "measure": "30s"}
    talks = {"payload": "en", "conversation": {"turns": 3}}
    assert estimate(plan(load=load, workload=talks), QUOTES).requests == 2 * 3 * 40


@pytest.mark.parametrize(("limit", "level"), [(None, "ok"), (100.0, "ok"), (0.01, "stop")])
def test_the_budget_is_held_against_the_longest_course(limit: float | None, level: str) -> None:
    chosen = plan(budget={"max_spend_usd": limit})
    assert plan_checks.check_budget(chosen, estimate(chosen, QUOTES)).level == level


def test_a_budget_that_nothing_can_guard_stops() -> None:
    chosen = plan(budget={"max_spend_usd": 5})
    assert plan_checks.check_budget(chosen, estimate(chosen, {})).level == "stop"
    assert plan_checks.check_budget(plan(), estimate(plan(), {})).level == "ok"


def test_no_budget_is_held_against_an_endpoint_of_others() -> None:
    chosen = plan(
        budget={"max_spend_usd": 0.01}, endpoint={"instance_type": "ml.g5.xlarge", "name": "theirs"}
    )
    assert plan_checks.check_budget(chosen, estimate(chosen, QUOTES)).level == "ok"


@pytest.mark.parametrize(
    ("endpoint", "level"),
    [
        ({"max_lifetime": "2h", "scheduler_role": "Scheduler"}, "ok"),
        ({"max_lifetime": "2h"}, "warning"),
        ({"max_lifetime": "10s"}, "warning"),
        ({"max_lifetime": "10s", "scheduler_role": "Scheduler"}, "stop"),
        ({"max_lifetime": "10s", "name": "theirs"}, "ok"),
    ],
)
def test_a_schedule_must_not_end_the_run(endpoint: dict[str, Any], level: str) -> None:
    chosen = plan(endpoint={"instance_type": "ml.g5.xlarge", **endpoint})
    assert plan_checks.check_lifetime(chosen, estimate(chosen, QUOTES)).level == level


def test_components_expire_before_their_endpoint_and_bound_the_run() -> None:
    longest = estimate(plan(), QUOTES).longest_s
    endpoint = {"instance_type": "ml.g5.xlarge", "scheduler_role": "S", "max_lifetime": longest + 60}
    assert plan_checks.check_lifetime(plan(endpoint=endpoint), estimate(plan(), QUOTES)).level == "ok"
    shared = plan(endpoint=endpoint | {"components": [{"name": "main"}]})
    assert plan_checks.check_lifetime(shared, estimate(shared, QUOTES)).level == "stop"


def test_the_expiry_of_every_endpoint_counts_from_the_start_of_the_run() -> None:
    two = ["ml.g5.xlarge", "ml.g5.2xlarge"]
    longest = estimate(plan(), QUOTES).longest_s
    chosen = plan(endpoint={"instance_type": two, "scheduler_role": "S", "max_lifetime": 1.5 * longest})
    assert plan_checks.check_lifetime(chosen, estimate(chosen, {})).level == "stop"


def test_an_image_of_another_region_stops() -> None:
    uri = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/vllm:0.30.0-gpu-py312-cu130"
    assert plan_checks.check_image(uri, SPEC).level == "stop"
    assert plan_checks.check_image(uri, replace(SPEC, region="eu-west-1")).level == "ok"


def test_an_image_that_hides_its_cuda_is_a_warning_until_the_host_is_chosen() -> None:
    uri = "763104351884.dkr.ecr.us-east-1.amazonaws.com/vllm:server-sagemaker-cuda-v2.6"
    assert plan_checks.check_image(uri, SPEC).level == "warning"
    assert (
        plan_checks.check_image(
            uri, replace(SPEC, inference_ami="al2023-ami-sagemaker-inference-gpu-4-1")
        ).level
        == "ok"
    )


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        ("public.ecr.aws/somebody/vllm:1", "not in Amazon ECR"),
        ("vllm/vllm-openai:v0.11.0", "not in Amazon ECR"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/mine", "no tag"),
    ],
)
def test_an_image_that_sagemaker_does_not_pull_stops(uri: str, word: str) -> None:
    check = plan_checks.check_image(uri, SPEC)
    assert (check.level, word in check.finding) == ("stop", True)


@pytest.mark.parametrize(
    "uri",
    [
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/mine:1",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine@sha256:" + 64 * "0",
        "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/mine:1",
    ],
)
def test_images_by_tag_by_digest_and_from_any_ecr_are_sound(uri: str) -> None:
    assert plan_checks.check_image(uri, SPEC).level == "ok"


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("Llama2-7b", 14),
        ("meta-llama/Llama-3.1-70B-Instruct", 140),
        ("SmolLM2-135M", 0.27),
        ("Simulated", None),
        ("gpt2", None),
    ],
)
def test_the_models_size_is_read_from_its_name(name: str, gigabytes: float | None) -> None:
    found = plan_checks.model_gigabytes(plan(model={"name": name, "source": "image", "image": IMAGE}))
    assert found == (None if gigabytes is None else pytest.approx(gigabytes))


def test_a_big_model_needs_longer_time_outs() -> None:
    big = plan(model={"name": "Big 405b", "source": "huggingface", "id": "org/Big-405B"})
    assert plan_checks.check_timeouts(big, SPEC).level == "warning"
    assert "startup_timeout" in plan_checks.check_timeouts(big, SPEC).remedy
    small = plan(model={"name": "Small 7b", "source": "huggingface", "id": "org/Small-7B"})
    assert plan_checks.check_timeouts(small, SPEC).level == "ok"


@pytest.mark.parametrize(
    ("supported", "levels"),
    [((), []), (("ml.g5.xlarge", "ml.g5.2xlarge"), ["ok"]), (("ml.g6.xlarge",), ["warning"])],
)
def test_an_instance_type_that_jumpstart_does_not_list_is_a_warning(
    supported: tuple[str, ...], levels: list[str]
) -> None:
    spec = replace(SPEC, models=(ModelSpec("m", Container(IMAGE, instance_types=supported)),))
    checks = plan_checks.check_instance_supported(spec)
    assert [check.level for check in checks] == levels
    assert all("ml.g6.xlarge" in check.remedy for check in checks if check.level == "warning")


def course(**changes: Any) -> Estimate:
    load = {"concurrency": [1, 4], "warm_up": 30, "measure": 300, "min_requests": 100}
    return estimate(plan(workload=workload(100), load=load, **changes), QUOTES)


def test_the_course_of_a_plan_worked_by_hand() -> None:
    # An answer of 100 tokens: 0.5 + 100 × 0.045 = 5 s. Each of two steps: 5 s ramp + 30 s warm-up + 5 s tail.
    # Longest: 2 × (300 + 40) = 680 s. Shortest: min(300, 100×5/1) + min(300, 100×5/4) + 2 × 40 = 505 s.
    found = course()
    assert found.longest_s == pytest.approx(BOOT_S + 680 + TEARDOWN_S)
    assert found.shortest_s == pytest.approx(BOOT_S + 505 + TEARDOWN_S)
    assert found.longest_usd == pytest.approx((BOOT_S + 680 + TEARDOWN_S) * 3.6 / 3600)
    assert found.requests == round((1 + 4) * 330 / 5)
    assert (found.experiments, found.steps) == (1, 2)


def test_lengths_that_end_by_their_figures_are_bounds() -> None:
    # Longest: 2 × (5 s ramp + 120 s warm-up + 600 s + 5 s tail). Shortest: 2 × (5 s + 5 s + 90 s + 5 s).
    load = {
        "concurrency": [1, 4],
        "warm_up": {"until": "steady", "at_most": "2m"},
        "measure": {"until": "5%", "of": "e2e_p95", "at_most": "10m"},
    }
    found = estimate(plan(workload=workload(100), load=load, endpoint={"name": "theirs"}), QUOTES)
    assert (found.shortest_s, found.longest_s) == (210, 1460)


def test_instances_multiply_the_cost_and_not_the_time() -> None:
    two = course(endpoint={"instance_type": "ml.g5.xlarge", "instance_count": 2})
    assert two.longest_s == course().longest_s
    assert two.longest_usd == pytest.approx(2 * (course().longest_usd or 0))


def test_an_endpoint_that_exists_costs_neither_boot_nor_deletion() -> None:
    assert course(endpoint={"name": "theirs"}).longest_s == pytest.approx(680)


def test_without_a_price_there_is_no_cost() -> None:
    assert estimate(plan(), {}).longest_usd is None


def test_a_known_boot_time_is_taken() -> None:
    assert estimate(plan(), QUOTES, {"ml.g5.xlarge": 100.0}).boot_s == 100.0


@pytest.mark.parametrize(
    ("principal", "action", "trusted"),
    [
        ({"Service": "sagemaker.amazonaws.com"}, "sts:AssumeRole", True),
        ({"Service": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]}, ["sts:AssumeRole"], True),
        ({"Service": "ec2.amazonaws.com"}, "sts:AssumeRole", False),
        ({"AWS": "arn:aws:iam::1:root"}, "sts:AssumeRole", False),
        ({"Service": "sagemaker.amazonaws.com"}, "sts:TagSession", False),
    ],
)
def test_the_trust_policy_is_read(principal: dict[str, Any], action: Any, trusted: bool) -> None:  # noqa: FBT001 - a table's column
    policy = {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": action}]}
    assert may_assume("sagemaker.amazonaws.com", policy) is trusted
    policy["Statement"][0]["Effect"] = "Deny"
    assert not may_assume("sagemaker.amazonaws.com", policy)


def test_a_shape_takes_as_long_as_its_pieces_and_one_warm_up() -> None:
    shape = [{"rate": 2, "for": 100}, {"rate": {"from": 2, "to": 4}, "for": 50}]
    found = estimate(plan(load={"shape": shape, "warm_up": 10}), QUOTES)
    assert found.steps == 2
    assert found.longest_s == pytest.approx(BOOT_S + TEARDOWN_S + 160, abs=30)
    assert found.requests == pytest.approx(2 * 100 + 3 * 50, abs=60)


def test_lengths_that_are_asked_for_are_the_answers_that_the_checks_expect() -> None:
    def tokens(*payloads: object, **workload: object) -> int | None:
        return answer_tokens(plan(workload={"payload": list(payloads), **workload}))

    assert tokens({"lengths": "D(900)/(300)"}) == 300
    assert tokens({"lengths": "U(1,9)/(20,40)"}, {"lengths": "N(9,1)/(50,10)"}) == 80
    assert tokens({"lengths": "D(900)/(300)"}, "en_50-100", max_tokens=500) == 500
    assert tokens({"lengths": "D(900)/(300)"}, "en_50-100") is None
