"""What the keys of ``experiments[].dwell`` in ``summary.json`` mean."""

from analysis.render.summary_key import below

DWELL = below(
    "experiments[].dwell",
    ("", "object", "", "Steps that ended by their figures.", "all lengths were fixed"),
    (".statistic", "text", "", "What a measurement waited for.", "its length was fixed"),
    (".until", "number", "share", "Half of its 95% interval at most, of its value.", "its length was fixed"),
    (".at_most_s", "number", "s", "Longest measurement.", "its length was fixed"),
    (".warm_up_at_most_s", "number", "s", "Longest warm-up.", "its length was fixed"),
    (".saved_s", "number", "s", "Load time saved against fixed lengths of these longest times."),
    (".saved_usd", "number", "$", "Its price.", "no price is known"),
    (".steps[].step", "text", "", "Identifier of the step."),
    (".steps[].warm_up_s", "number", "s", "Its warm-up.", "it is not on record"),
    (".steps[].measured_s", "number", "s", "Its measurement."),
    (
        ".steps[].reach",
        "number",
        "share",
        "Half of the 95% interval of the statistic, of its value.",
        "too few samples, or a fixed length",
    ),
    (".steps[].end", "text", "", "`reached`, `limit`, `saturated` or `interrupted`."),
)
