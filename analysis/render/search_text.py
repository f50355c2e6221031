"""What a search found, in words."""

from analysis.decide.recommendation import Choice
from analysis.decide.search.course import Course
from analysis.decide.search.levels import LevelState
from analysis.decide.search.method import End
from analysis.decide.search.rival import early_end
from analysis.measure.results import ExperimentResult
from analysis.render.prices import PER_REQUESTS, request_price
from common.formatting import dollars, duration, listed, more_minutes, number, percent


def search_sentences(choice: Choice, experiment: ExperimentResult) -> list[str]:
    """What the search of an experiment found, how sure that is, and whether it holds as arrivals.

    Returns:
        Nothing where the experiment had no search, or where it ended early: `early_end_sentences` says why.
    """
    course = choice.searches.get(experiment.name)
    if course is None or course.move == End("beaten"):
        return []
    where = f" on {experiment.deployed}" if len(choice.searches) > 1 else ""
    return [f"The search{where} {_found(course)}{_confirmed(course)}.", *_doubt(course)]


def early_end_sentences(choice: Choice, experiment: ExperimentResult) -> list[str]:
    """Why the search of an experiment ended before its bracket was narrow, and what that saved."""
    course = choice.searches.get(experiment.name)
    early = None if course is None else early_end(course, experiment)
    if course is None or early is None:
        return []
    other = choice.instance_of(early.rival.experiment)
    least, best = request_price(early.usd_at_least), request_price(early.rival.usd_per_request)
    why = (
        f"no load within the SLO exceeds {number(early.rate_at_most)} requests/s there, so {PER_REQUESTS} "
        f"cost at least {least}, against {best} on {other}"
    )
    took = duration(course.spent_s)
    sentence = f"The search on {experiment.deployed} ended early, after {took}: {why}."
    if early.seconds_saved <= 0:
        return [sentence]
    price = "" if early.usd_saved is None else f" and {dollars(early.usd_saved)}"
    whole = f"a search as long as that on {other}, this saved {duration(early.seconds_saved)}{price}"
    return [f"{sentence} Compared with {whole}."]


def level_text(course: Course, level: float) -> str:
    """``24 users``, ``3.5 requests/s``, ``3.5 conversations/s``."""
    if not course.rules.whole:
        return f"{level:.4g} {course.arrivals_noun}/s"
    return f"{level:.0f} user{'' if level == 1 else 's'}"


def _found(course: Course) -> str:
    """``took 6 min 20 s: the SLO holds at 24 users and is missed at 25, both beyond noise``."""
    low, high = course.bracket.low, course.bracket.high
    took = f"took {duration(course.spent_s)}"
    if not course.ended:
        took = f"was cut short after {duration(course.spent_s)}"
    elif isinstance(course.move, End) and course.move.code == "time_limit":
        took = f"ended at its time limit, after {duration(course.spent_s)}"
    if low is None and high is None:
        return f"{took} and could not judge any level"
    if low is None and high is not None:
        return f"{took}: the SLO is missed even at {level_text(course, high.level)}{_unsure(high)}"
    assert low is not None  # noqa: S101 - by the cases above
    if high is None:
        rest = ", the highest level of the search" if low.level >= course.rules.high else ""
        return f"{took}: the SLO holds at {level_text(course, low.level)}{rest}{_unsure(low)}"
    sure = ", both beyond noise" if low.sure and high.sure else _unsure(low, high)
    return f"{took}: the SLO holds at {level_text(course, low.level)} and is missed at {high.level:.4g}{sure}"


def _unsure(*states: LevelState) -> str:
    return "" if all(state.sure for state in states) else ", as far as was measured"


def _confirmed(course: Course) -> str:
    """Whether it holds when requests or conversations arrive, as a clause."""
    if not course.confirmations:
        return ""
    failed = [number(each.rate) for each in course.confirmations if each.state is not None and not each.holds]
    states = [each.state for each in course.confirmations if each.state is not None]
    void = [number(each.rate) for each in course.confirmations if each.state is None]
    held, noun = course.confirmed, course.arrivals_noun
    if held is None:
        found = [f"it did not hold at {listed(failed)} {noun}/s{_unsure(*states)}"] * bool(failed)
        found += [f"{listed(void)} {noun}/s could not be judged"] * bool(void)
        return f", but when {noun} arrived independently, {', and '.join(found)}"
    share = "" if course.headroom is None else f", {percent(course.headroom)} of the highest rate measured"
    first = f" (not at {listed(failed)})" if failed else ""
    return f"; when {noun} arrive independently, it holds at {number(held.rate)} {noun}/s{share}{first}"


def _doubt(course: Course) -> list[str]:
    """What is not certain, and what more time would buy."""
    bracket, sentences = course.bracket, []
    if bracket.out_of_reach is not None:
        level = level_text(course, bracket.out_of_reach)
        sentences.append(f"{level[0].upper()}{level[1:]} could not be judged: every probe there was void.")
    if course.is_sure or bracket.low is None:
        return sentences
    certain = [f"met up to {level_text(course, bracket.sure_low)}"] if bracket.sure_low is not None else []
    certain += (
        [f"missed from {level_text(course, bracket.sure_high)}"] if bracket.sure_high is not None else []
    )
    text = f"Beyond noise, the SLO is {' and '.join(certain)}" if certain else "Nothing is beyond noise yet"
    if bracket.more_s is not None:
        text += f"; about {more_minutes(bracket.more_s / 60)} of measurement would decide the rest"
    return [*sentences, f"{text}."]
