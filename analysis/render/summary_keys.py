"""The keys of ``summary.json``: a key that `summary_json` writes has a row here."""

import itertools
import re
from dataclasses import dataclass

AWS_REQUEST = "AWS request"
ANY_CONTENT = (AWS_REQUEST, "any")
"""Types of values whose own keys the table does not list."""
NAME = re.compile(r"<[a-z ]+>")


@dataclass(frozen=True)
class Key:
    """A row of the table.

    ``path`` joins the keys with full stops. ``[]`` stands for each item of a list, ``<name>`` for any key,
    and ``{a,b}`` for each of the keys named.
    """

    path: str
    kind: str
    unit: str
    meaning: str
    null: str = ""
    """When the value is null or the key absent; empty where it always has a value."""

    @property
    def paths(self) -> list[str]:
        """The paths that the row stands for, without braces."""
        parts = re.split(r"\{([^}]*)\}", self.path)
        choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
        return ["".join(chosen) for chosen in itertools.product(*choices)]


def _below(prefix: str, *rows: tuple[str, ...]) -> tuple[Key, ...]:
    return tuple(Key(f"{prefix}{row[0]}", *row[1:]) for row in rows)


_NOTICE_KINDS = (
    "Kind of each notice, in the same order: `shortened_rehearsal`, `endpoint`, `locust_files`, "
    "`fmbench_files` or `other`."
)
_NO_TIMES = "not in the source files"
_OPEN = "open loop"
_CLOSED_LOOP = "closed loop"
_NO_TOKENS = "no answer has a token count"
_NO_PRICE = "no price is known"
_NO_OFFER = "no price is known or no request was answered"
_NO_ROWS = "no raw records"
_NO_WINDOW = "the step was not measured, or its source has no window"
_OUTCOMES = (
    "Requests that started (open loop: arrived) in the window, by outcome. A censored one was cut off by the "
    "end of the step; a withheld one was not sent."
)
_FEW = "too few samples (n < 5/(1 − p)), or not measured"

_RUN = (
    Key("format", "integer", "", "Version of this format. New keys do not raise it."),
    *_below(
        "run.",
        ("id", "text", "", "Name of the run."),
        ("plan", "text", "", "Name of the plan.", _NO_TIMES),
        ("state", "text", "", "`running`, `complete`, `interrupted` or `failed`."),
        ("source", "text", "", "`records` (a run folder), `locust` or `fmbench` (files of these tools)."),
        ("rehearsal", "boolean", "", "Whether a simulated endpoint was measured."),
        ("notices[]", "text", "", "A sentence that every page shows."),
        ("notice_kinds[]", "text", "", _NOTICE_KINDS),
        ("{started_at,ended_at}", "text", "UTC", "Start and end of the run.", _NO_TIMES),
        ("slo.objectives[].metric", "text", "", "`ttft`, `tpot` or `e2e`."),
        ("slo.objectives[].statistic", "text", "", "`mean`, `p50`, `p90`, `p95` or `p99`."),
        ("slo.objectives[].limit_ms", "number", "ms", "The limit."),
        ("slo.error_rate", "number", "0 to 1", "Limit of the error rate.", "the plan names none"),
        ("problems[]", "text", "", "What is missing or damaged in the source files."),
    ),
    Key("answer", "text", "", "The recommendation in sentences."),
)

_CHOICES = _below(
    "choices[].",
    ("payload", "text", "", "The payload that the choice is for."),
    ("{best,runner_up}", "object", "", "The cheapest step that passes, and the next one.", "there is none"),
    ("{best,runner_up}.experiment", "text", "", "Name of its experiment."),
    ("{best,runner_up}.step", "text", "", "Identifier of the step."),
    ("{best,runner_up}.repetitions[]", "text", "", "Identifiers of the steps pooled in it."),
    ("{best,runner_up}.concurrency", "integer", "requests", "Requests in flight.", _OPEN),
    ("{best,runner_up}.rate", "number", "requests/s", "Arrivals per second.", _CLOSED_LOOP),
    ("{best,runner_up}.usd_per_request", "number", "$", "Cost of a request at full load.", _NO_OFFER),
    ("extra_usd_per_request", "number", "$", "What a request costs more at the runner-up.",
     "no price or no runner-up"),
    ("extra_share", "number", "share", "The same as a share of the cost at the best.", "no runner-up"),
    ("win_share", "number", "0 to 1", "Share of bootstrap draws in which the best is cheapest and passes.",
     "no other candidate, or no raw records"),
)  # fmt: skip

_EXPERIMENTS = _below(
    "experiments[].",
    ("name", "text", "", "`<instance type>/<payload>`."),
    ("model", "text", "", "Name of the model."),
    ("instance_type", "text", "", "Type of the instance."),
    ("instance_label", "text", "", "Name of the instance on the pages."),
    ("instance_count", "integer", "instances", "Instances of the endpoint."),
    ("payload", "text", "", "Name of the payload."),
    ("payload_file", "text", "", "File of the payload."),
    ("made_prompts", "object", "", "How the prompts were made for the run.", "they are those of a file"),
    ("made_prompts.lengths", "text", "", "The lengths, as the plan has them.", "a file with a template"),
    ("made_prompts.prompts", "integer", "prompts", "Different prompts."),
    (
        "made_prompts.{prompt_tokens,output_tokens}",
        "number",
        "tokens",
        "Means of the asked lengths.",
        "none was asked for",
    ),
    ("made_prompts.longer_than_asked", "integer", "prompts", "Prompts that could not be as short."),
    ("made_prompts.prefix_groups", "integer", "", "Different shared prefixes.", "nothing is shared"),
    ("made_prompts.prefix_share", "number", "0 to 1", "Share of the prompt tokens that prompts share."),
    ("made_prompts.probes", "integer", "requests", "Requests to count tokens, before the load."),
    ("made_prompts.no_counts", "text", "", "Why the endpoint counted none.", "it did"),
    ("made_prompts.exact_output[]", "text", "", "Parameters that keep answers from ending early."),
    (
        "made_prompts.scales[].{language,counted_by}",
        "text",
        "",
        "Language; `tokenizer`, `endpoint` or `estimate`.",
    ),
    (
        "made_prompts.scales[].{overhead_tokens,tokens_per_unit}",
        "number",
        "tokens",
        "Tokens of the chat template; tokens per word, or per token of the tokenizer.",
    ),
    ("made_prompts.scales[].probes", "integer", "requests", "Probes in this language."),
    ("made_prompts.scales[].residual", "number", "share", "Largest error of a probe.", "no probe"),
    ("state", "text", "", "As `run.state`."),
    ("error", "text", "", "What ended the experiment early.", "nothing did"),
    ("price.usd_per_hour", "number", "$/h", "Price of one instance.", _NO_PRICE),
    ("price.source", "text", "", "Where the price comes from."),
    ("price.as_of", "text", "", "Date of the price.", "unknown"),
    ("price.assumption", "boolean", "", "Whether nobody charges this price."),
    ("cost.duration_s", "number", "s", "Time that is billed.", _NO_TIMES),
    ("cost.{boot_s,load_s,idle_s}", "number", "s", "Its parts: boot, load and the rest.", _NO_TIMES),
    ("cost.usd", "number", "$", "What the experiment cost.", "no price or no duration"),
    ("cost.basis", "text", "", "What was counted."),
    (
        "saturation",
        "object",
        "",
        "The step that the endpoint could not serve, and what stopping there saved.",
        "the endpoint kept up",
    ),
    ("saturation.step", "text", "", "Identifier of the step."),
    ("saturation.left_out", "integer", "steps", "Steps at this rate or a higher one that were not played."),
    ("saturation.saved_s", "number", "s", "Time that the rest would have taken."),
    ("saturation.saved_usd", "number", "$", "Its price.", _NO_PRICE),
    ("search", "object", "", "What the search for the highest load under the SLO found.", "there was none"),
    ("search.end", "text", "", "`found`, `all_met`, `none_met`, `out_of_reach` or `time_limit`.",
     "it was cut short"),
    ("search.sure", "boolean", "", "Whether both ends of the bracket are certain and as close as asked."),
    ("search.{met,missed}", "number", "users or requests/s",
     "The highest level that meets the SLO, and the lowest that misses it.", "there is none"),
    ("search.{surely_met,surely_missed}", "number", "users or requests/s", "The same beyond noise.",
     "there is none"),
    ("search.out_of_reach", "number", "users or requests/s", "The lowest level that could not be judged.",
     "there is none"),
    ("search.spent_s", "number", "s", "Load time, with warm-ups and confirmation."),
    ("search.more_s", "number", "s", "Measurement that would make both ends certain.",
     "they are, or it is not known"),
    ("search.confirmed_rate", "number", "requests/s", "The rate of arrivals at which the SLO holds.",
     "none was confirmed"),
    ("search.headroom_share", "number", "0 to 1", "That rate as a share of the highest rate at any level.",
     "none was confirmed"),
    ("search.probes[].step", "text", "", "Identifier of the step."),
    ("search.probes[].purpose", "text", "", "`probe` or `confirmation`."),
    ("search.probes[].verdict", "text", "", "`met`, `missed`, `undecided`, `not reached` or `void`."),
    ("search.probes[].reasons[]", "text", "", "Codes that say why it decides nothing, or is missed at once."),
    ("search.probes[].spent_s", "number", "s", "Load time, with ramp and warm-up.", "it never ended"),
)  # fmt: skip

_LENGTHS = "answers.{prompt_lengths,output_lengths}."
_NOT_ASKED = "no length was asked for, or the server does not count"
_LATENCY = "{ttft,ttfo,tpot,e2e,schedule_delay,ttft_sent,e2e_sent}_ms."
_STEPS = _below(
    "experiments[].steps[].",
    ("id", "text", "", "Identifier of the step."),
    ("concurrency", "integer", "requests", "Requests in flight.", f"{_NO_TIMES}; {_OPEN}"),
    ("rate", "number", "requests/s", "Arrivals per second.", _CLOSED_LOOP),
    ("piece", "integer", "", "Number of the piece of a shape, from 1.", "the load was not a shape"),
    ("ramp", "[number, number]", "requests/s", "The rates at the start and at the end of a piece.",
     "the load was not a shape of rates"),
    ("state", "text", "", "`complete`, `degraded`, `interrupted`, `running` or `planned`."),
    ("window_s", "number", "s", "Length of the measure window.", _NO_WINDOW),
    ("{requests_ok,requests_failed,requests_censored,requests_withheld}", "integer", "requests", _OUTCOMES),
    ("whole_step.{ok,failed,censored,withheld}", "integer", "requests", "The same for all of the step."),
    (f"{_LATENCY}{{p50,p90,p95,p99}}", "number", "ms", "Percentile of the latency.", _FEW),
    (f"{_LATENCY}{{p50_95,p90_95,p95_95,p99_95}}[]", "number", "ms",
     "Lower and upper end of the percentile's 95% confidence interval.", "absent without an interval"),
    (f"{_LATENCY}{{p90_certified,p95_certified,p99_certified}}", "number", "ms",
     "What the percentile does not exceed with 99% confidence, by MLPerf's early-stopping rule.",
     "fewer samples than MLPerf's floor (64, 130, 662); absent where the latency was not measured"),
    (f"{_LATENCY}mean", "number", "ms", "Mean of the latency.", "not measured"),
    (f"{_LATENCY}{{std,min,max}}", "number", "ms", "Standard deviation, least and greatest latency.",
     "absent where the latency was not measured; null where the source does not give it"),
    (f"{_LATENCY}n", "integer", "requests", "Samples of the latency."),
    ("{prompt_tokens_mean,completion_tokens_mean}", "number", "tokens", "Mean tokens per answered request.",
     _NO_TOKENS),
    ("{prompt_tokens_per_s,completion_tokens_per_s}", "number", "tokens/s", "Tokens in and out per second.",
     _NO_TOKENS),
    ("requests_per_minute", "number", "requests/min", "Answered requests per minute.", "not measured"),
    ("requests_per_minute_95", "list", "requests/min", "Ends of its 95% confidence interval.",
     "too little data"),
    ("requests_per_minute_95[]", "number", "requests/min", "Lower end, then upper end."),
    ("error_rate", "number", "0 to 1", "Share of the requests that failed.", "no requests"),
    ("error_classes.<class>", "integer", "requests", "Failed requests by class."),
    ("goodput_per_s", "number", "requests/s", "Requests within every limit.", "the plan names no limit"),
    ("goodput_share", "number", "0 to 1", "Their share of all requests.", "the plan names no limit"),
    ("user_tokens_per_s_p50", "number", "tokens/s", "Median speed of an answer as its user sees it.",
     _NO_TOKENS),
    ("chunk_gap_ms.{p50,p99}", "number", "ms", "Gap between chunks of a streamed answer.", "not streamed"),
    ("mean_in_flight", "number", "requests", "Mean number of requests in flight.", _NO_ROWS),
    ("little_residual", "number", "share", "Throughput × latency / users − 1 (Little's law).", _NO_ROWS),
    ("finish_reasons.<reason>", "integer", "requests", "Answers by the reason for their end."),
    ("token_sources.<source>", "integer", "requests", "Answers by the source of their token counts."),
    ("usd_per_request", "number", "$", "Cost of a request at full load.", _NO_OFFER),
    ("usd_per_request_95", "list", "$", "Ends of its 95% confidence interval.", "no price or few data"),
    ("usd_per_request_95[]", "number", "$", "Lower end, then upper end."),
    ("usd_per_million_output_tokens", "number", "$", "Cost of 1M output tokens at full load.", _NO_OFFER),
    ("usd_per_million_tokens", "number", "$", "Cost of 1M tokens, in and out, at full load.", _NO_OFFER),
    ("conversations", "object", "", "The step's conversations.", "all requests are single ones"),
    ("conversations.completed", "integer", "conversations", "Those completed in the window."),
    ("conversations.per_minute", "number", "conversations/min", "The same per minute.", "none was completed"),
    ("conversations.turns_mean", "number", "turns", "Mean turns of a completed one.", "none was completed"),
    ("conversations.cut_off", "integer", "turns", "Turns not sent because an earlier one was not answered."),
    ("conversations.usd", "number", "$", "Cost of one at full load.", "no price, or none completed"),
    ("conversations.turns[].turn", "integer", "", "Number of the turn, from 1 up to 20."),
    ("conversations.turns[].{ok,failed,censored,withheld}", "integer", "requests", "Requests by outcome."),
    ("conversations.turns[].prompt_tokens_mean", "number", "tokens", "Mean of the whole prompt.", _NO_TOKENS),
    ("conversations.turns[].cached_share", "number", "0 to 1", "Share of it from the server's cache.",
     "the server does not report it"),
    ("conversations.turns[].{ttft,e2e}_ms.{p50,p95}", "number", "ms", "Percentile of the latency.", _FEW),
    ("conversations.turns[].{ttft,e2e}_ms.mean", "number", "ms", "Mean of the latency.", "not measured"),
    ("conversations.turns[].{ttft,e2e}_ms.n", "integer", "requests", "Samples of the latency."),
    ("trust.level", "text", "", "`pass`, `warn` or `void`. A void step is never recommended."),
    ("trust.reasons[].code", "text", "", "Stable name of the reason."),
    ("trust.reasons[].text", "text", "", "The reason in a sentence, which may change between versions."),
    ("trust.reasons[].level", "text", "", "As `trust.level`."),
    ("trust.reasons[].values.<figure>", "any", "by its suffix", "The figures in the sentence."),
    ("answers.asked.{at_least,at_most}", "integer", "tokens", "Bounds of the output that the plan sets.",
     "the plan sets none"),
    ("answers.asked.exact_rows", "boolean", "", "Whether an answer must be as long as its row asks."),
    ("answers.counted", "integer", "requests",
     "Answers with a token count that is not an estimate and no asked length of their own."),
    (f"{_LENGTHS}compared", "integer", "requests", "Requests with an asked and a counted length."),
    (f"{_LENGTHS}{{asked_mean,counted_mean}}", "number", "tokens", "Means of the lengths.", _NOT_ASKED),
    (f"{_LENGTHS}mismatch", "number", "share", "Mean relative difference of the two.", _NOT_ASKED),
    (f"{_LENGTHS}{{shorter,longer}}", "integer", "requests", "Requests that differ, by direction."),
    ("answers.estimated_prompts", "integer", "requests", "Prompts of an asked length that nobody counted."),
    ("answers.shared_prefix", "number", "0 to 1", "Share of the prompt tokens that prompts share."),
    ("answers.{shorter,longer}", "integer", "requests", "Those of them outside these bounds."),
    ("answers.mean_tokens", "number", "tokens", "Mean tokens of an answer.", _NO_TOKENS),
    ("answers.cached_share", "number", "0 to 1", "Share of the prompt tokens from the server's cache.",
     "the server does not report it"),
    ("answers.with_skipped_events", "integer", "requests", "Answers with events of an unknown form."),
    ("answers.contradicted", "integer", "requests", "Answers that contradict their own token count."),
    ("workers[].worker", "text", "", "Name of a worker. The list is empty for one worker."),
    ("workers[].host", "text", "", "Its host.", "unknown"),
    ("workers[].rows", "integer", "requests", "Its requests that started in the window."),
    ("workers[].share", "number", "0 to 1", "Their share of the step's."),
    ("workers[].first_token_p50_ms", "number", "ms", "Median TTFT, or E2E latency where not streamed.",
     "no answers"),
    ("workers[].first_token_interval", "object", "", "Its 95% confidence interval.", "too few samples"),
    ("workers[].first_token_interval.{low,high}", "number", "ms", "Ends of the interval."),
    ("workers[].connect_p50_ms", "number", "ms", "Median time to set up a connection.", "none was opened"),
    ("workers[].rtt_ms", "number", "ms", "Smallest round trip to the endpoint.", "not reported"),
    ("workers[].cpu_max", "number", "%", "Greatest CPU load.", "not reported"),
    ("workers[].lag_p99_ms", "number", "ms", "Lag of the event loop.", "not reported"),
    ("slo", "object", "", "The step against the plan's limits.", "the step cannot be recommended"),
    ("slo.status", "text", "", "`met`, `missed`, `open` (too few samples to decide) or `unmeasured`."),
    ("slo.objectives[].objective", "text", "", "Name of the limit."),
    ("slo.objectives[].value_ms", "number", "ms", "The measured value.", _FEW),
    ("slo.objectives[].status", "text", "", "As `slo.status`."),
    ("slo.objectives[].sure", "boolean", "", "Whether the status holds with 95% confidence."),
)  # fmt: skip

_FLEETS = (
    *_below(
        "fleets[].",
        ("payload", "text", "", "The payload that the demand is for."),
        ("peak_requests_per_minute", "number", "requests/min", "Demand of the busiest hour."),
        (
            "requests_per_minute_by_hour[]",
            "number",
            "requests/min",
            "Demand of each hour of the day, 24 items.",
        ),
    ),
    *_below(
        "fleets[].fleets[].",
        ("experiment", "text", "", "Name of the experiment."),
        ("step", "text", "", "The step that each instance runs at."),
        ("requests_per_minute_per_instance", "number", "requests/min", "Measured rate of one instance."),
        ("instances", "integer", "instances", "Instances that carry the peak with headroom."),
        ("spare", "integer", "instances", "Instances beyond them."),
        ("utilisation", "number", "0 to 1", "Mean demand / capacity of all instances."),
        ("usd_per_month", "number", "$", "Cost of a fixed fleet.", _NO_PRICE),
        ("usd_per_month_scaled_hourly", "number", "$", "Cost of a fleet scaled each hour.", _NO_PRICE),
        ("usd_per_request", "number", "$", "Cost of a request with the fixed fleet.", _NO_PRICE),
    ),
    *_below(
        "policies.<file>.",
        ("about", "text", "", "What the policy holds."),
        ("register_scalable_target", AWS_REQUEST, "", "Request for `RegisterScalableTarget`."),
        ("put_scaling_policy", AWS_REQUEST, "", "Request for `PutScalingPolicy`."),
    ),
)

_PRICES = _below(
    "utilisation_prices[].",
    ("experiment", "text", "", "Name of the experiment."),
    ("step", "text", "", "Its cheapest step that passes."),
    ("utilisation", "number", "0 to 1", "Share of the full load that the endpoint carries."),
    ("usd_per_request", "number", "$", "Cost of a request at this utilisation.", "not measured"),
    ("usd_per_million_output_tokens", "number", "$", "Cost of 1M output tokens.", _NO_TOKENS),
    ("usd_per_million_tokens", "number", "$", "Cost of 1M tokens, in and out.", _NO_TOKENS),
)

_FMBENCH = _below(
    "fmbench[].",
    ("step", "text", "", "Identifier of the step."),
    ("concurrency", "integer", "requests", "Requests in flight."),
    ("own_bursts", "boolean", "", "Whether FMBench itself sent the requests."),
    ("differences[].name", "text", "", "Name of the figure in FMBench's table."),
    ("differences[].fmbench", "number", "as FMBench's", "The figure by FMBench's method.", "not known"),
    ("differences[].true", "number", "as FMBench's", "The true figure.", "not known"),
    ("differences[].reason", "text", "", "Why they differ."),
)

_LOCUST = (
    Key("locust", "object", "", "Locust's statistics.", "the run was not read from Locust's CSV files"),
    *_below(
        "locust.",
        ("basis", "text", "", "What the steps cover: `whole run` or `level`."),
        ("resets", "integer", "", "How often the statistics were reset."),
        ("requests[].{method,name}", "text", "", "Method and name of an entry."),
        ("requests[].{requests,failed}", "integer", "requests", "All requests, and those that failed."),
        ("requests[].error_rate", "number", "0 to 1", "Share that failed.", "no requests"),
        ("requests[].errors.<error>", "integer", "requests", "Failures by error."),
        ("requests[].ok_per_minute_whole_run", "number", "requests/min", "Rate over the run.", _NO_TIMES),
        ("requests[].ok_per_minute_by_step.<step>", "number", "requests/min", "Rate in each step."),
        ("requests[].response_time_ms.{mean,min,max}", "number", "ms", "Response time.", _NO_TIMES),
        ("requests[].response_time_ms.<percentile>", "number", "ms", "Locust's percentile: `p50`, `p95`, …"),
        ("requests[].content_bytes_mean", "number", "bytes", "Mean size of an answer.", _NO_TIMES),
        ("measures[].{type,name}", "text", "", "Type and name of an event that is not a request."),
        ("measures[].{count,failed}", "integer", "events", "All events, and those that failed."),
        ("measures[].errors.<error>", "integer", "events", "Failures by error."),
        ("measures[].value.{mean,min,max}", "number", "as reported", "The value.", _NO_TIMES),
        ("measures[].value.<percentile>", "number", "as reported", "Locust's percentile of it."),
        ("exceptions.<message>", "integer", "", "Exceptions in the users' code."),
    ),
)

SECTIONS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    ("The run", _RUN),
    ("Choices", _CHOICES),
    ("Experiments", _EXPERIMENTS),
    ("Steps", _STEPS),
    ("Fleets and policies", _FLEETS),
    ("Cost at lower utilisation", _PRICES),
    ("FMBench's method", _FMBENCH),
    ("Locust", _LOCUST),
)
