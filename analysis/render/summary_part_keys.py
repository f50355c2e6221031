"""The keys of a step of ``summary.json`` that only some loads have: conversations, and the parts of a mix."""

NO_TOKENS = "no answer has a token count"
FEW = "too few samples (n < 5/(1 − p)), or not measured"

CONVERSATION_KEYS: tuple[tuple[str, ...], ...] = (
    ("conversations", "object", "", "The step's conversations.", "all requests are single ones"),
    ("conversations.completed", "integer", "conversations", "Those completed in the window."),
    ("conversations.per_minute", "number", "conversations/min", "The same per minute.", "none was completed"),
    ("conversations.turns_mean", "number", "turns", "Mean turns of a completed one.", "none was completed"),
    ("conversations.cut_off", "integer", "turns", "Turns not sent because an earlier one was not answered."),
    ("conversations.usd", "number", "$", "Cost of one at full load.", "no price, or none completed"),
    ("conversations.sessions", "object", "", "The stateful sessions of its turns.", "no turn had one"),
    ("conversations.sessions.share", "number", "0 to 1", "Share of the answered turns that named a session."),
    ("conversations.sessions.opening_ms.{p50,p95}", "number", "ms", "Percentile of opening one.", FEW),
    ("conversations.sessions.opening_ms.mean", "number", "ms", "Mean of opening one.", "none was opened"),
    ("conversations.sessions.opening_ms.n", "integer", "sessions", "Samples."),
    ("conversations.turns[].turn", "integer", "", "Number of the turn, from 1 up to 20."),
    ("conversations.turns[].{ok,failed,censored,withheld}", "integer", "requests", "Requests by outcome."),
    ("conversations.turns[].prompt_tokens_mean", "number", "tokens", "Mean of the whole prompt.", NO_TOKENS),
    ("conversations.turns[].cached_share", "number", "0 to 1", "Share of it from the server's cache.",
     "the server does not report it"),
    ("conversations.turns[].{ttft,e2e}_ms.{p50,p95}", "number", "ms", "Percentile of the latency.", FEW),
    ("conversations.turns[].{ttft,e2e}_ms.mean", "number", "ms", "Mean of the latency.", "not measured"),
    ("conversations.turns[].{ttft,e2e}_ms.n", "integer", "requests", "Samples of the latency."),
)  # fmt: skip

PART_KEYS: tuple[tuple[str, ...], ...] = (
    ("parts[].part", "text", "", "Name of a part. The list is empty without a mix."),
    ("parts[].{ok,failed,censored,withheld}", "integer", "requests", "Its requests by outcome."),
    ("parts[].requests_per_minute", "number", "requests/min", "Its answered requests per minute.",
     "not measured"),
    ("parts[].completion_tokens_per_s", "number", "tokens/s", "Its tokens out per second.", NO_TOKENS),
    ("parts[].mean_in_flight", "number", "requests", "Its mean number of requests in flight.",
     "not measured"),
    ("parts[].{prompt_tokens_mean,completion_tokens_mean}", "number", "tokens",
     "Mean tokens per answered request.", NO_TOKENS),
    ("parts[].{ttft,tpot,e2e}_ms.{p50,p95}", "number", "ms", "Percentile of the latency.", FEW),
    ("parts[].{ttft,tpot,e2e}_ms.mean", "number", "ms", "Mean of the latency.", "not measured"),
    ("parts[].{ttft,tpot,e2e}_ms.n", "integer", "requests", "Samples of the latency."),
    ("parts[].usd_per_request", "number", "$",
     "Cost of a request, by the time that the part's requests are in flight.", "no price is known"),
)  # fmt: skip
