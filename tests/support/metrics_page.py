"""What a page for Prometheus shows."""

from prometheus_client.parser import text_string_to_metric_families

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series(text: str) -> Series:
    """Every value of a page by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Series, name: str, **labels: str) -> float | None:
    """The value of the series with this name and these labels; None if there is none."""
    own = [own for (each, has), own in found.items() if each == name and labels.items() <= dict(has).items()]
    assert len(own) <= 1, (name, labels)
    return own[0] if own else None
