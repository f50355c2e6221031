"""The steps of a plain Locust test: which number of users a request started under."""

from locustfiles.master.levels import Levels


def test_each_number_of_users_is_a_level_until_another_is_asked_for() -> None:
    levels = Levels()
    assert levels.ask(4, 10.0)
    assert not levels.ask(4, 11.0)
    levels.spawned(12.0)
    levels.spawned(13.0)
    assert levels.ask(8, 20.0)
    levels.spawned(21.0)
    assert levels.ask(4, 30.0)
    levels.end(40.0)
    assert levels.ended
    assert [(level.name, level.announced_at, level.ramped_at, level.ended_at) for level in levels] == [
        ("u4", 10.0, 12.0, 20.0),
        ("u8", 20.0, 21.0, 30.0),
        ("u4#2", 30.0, None, 40.0),
    ]


def test_a_request_belongs_to_the_level_in_which_it_started() -> None:
    levels = Levels()
    levels.ask(4, 10.0)
    levels.ask(8, 20.0)
    # A worker's clock may be behind the master's.
    assert [levels.at(moment).name for moment in (9.0, 10.0, 19.9, 20.0, 99.0)] == [
        "u4",
        "u4",
        "u4",
        "u8",
        "u8",
    ]
