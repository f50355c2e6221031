"""A mix keeps to its weights exactly, on whatever worker its requests are."""

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from configs.payload import PayloadRow
from locustfiles.client.request_bodies import BodyFactory
from locustfiles.worker.mixed_bodies import MixedBodies

ROWS = 4


def mixed(counts: dict[str, int], worker: str = "w0") -> MixedBodies:
    factories = {
        part: BodyFactory(
            [PayloadRow(f"{part}/{n}", f"Prompt {n} of {part}.", None, part=part) for n in range(ROWS)],
            schema="openai",
            route="invocations",
            stream=True,
            parameters={},
            unique_prefix=True,
        )
        for part in counts
    }
    return MixedBodies(factories, counts, "seed", worker)


COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=2)


@given(COUNTS, st.integers(0, 20))
def test_every_turn_of_the_deck_has_each_part_as_often_as_its_weight(
    counts: dict[str, int], turn: int
) -> None:
    bodies, size = mixed(counts), sum(counts.values())
    numbers = range(turn * size + 1, (turn + 1) * size + 1)
    assert Counter(bodies.of_arrival(number).part for number in numbers) == counts


@given(COUNTS)
def test_an_arrival_has_one_body_on_any_worker_and_each_row_comes_before_any_again(
    counts: dict[str, int],
) -> None:
    one, other = mixed(counts, "w0"), mixed(counts, "w1")
    numbers = range(1, ROWS * sum(counts.values()) + 1)
    first = [one.of_arrival(number) for number in numbers]
    assert [body.data for body in first] == [other.of_arrival(number).data for number in numbers]
    assert len({body.sha256 for body in first}) == len(first), "each prompt has its own nonce"
    for part, count in counts.items():
        rows = [body.payload_id for body in first if body.part == part]
        assert Counter(rows) == dict.fromkeys(rows, count)


def test_users_of_a_process_keep_to_the_weights_together_and_processes_differ() -> None:
    bodies = mixed({"a": 3, "b": 1})
    users = [bodies.of_users() for _ in range(4)]
    drawn = [next(user) for _ in range(25) for user in users]
    assert Counter(body.part for body in drawn) == {"a": 75, "b": 25}
    elsewhere = mixed({"a": 3, "b": 1}, "w1").of_users()
    assert [body.part for body in drawn] != [body.part for body in islice(elsewhere, 100)]
