"""What the users of a process ask: the bodies of single requests, and conversations."""

import hashlib
from collections.abc import Iterator
from functools import partial

from configs.scripts import scripts_of
from locustfiles.client.request_bodies import Body, BodyFactory
from locustfiles.messages import Arrival, Assignment
from locustfiles.worker.dialogue import Dialogue, Dialogues
from locustfiles.worker.mixed_bodies import MixedBodies
from locustfiles.worker.trace_prompts import TracePrompts

_CAPTURED = "captured"
"""The payload id of a captured body."""


class Workload:
    """The requests of an assignment.

    Args:
        assignment: from the master.
        worker: name of the process.

    Raises:
        UserError: a row has no text that a unique prefix could precede.
    """

    def __init__(self, assignment: Assignment, worker: str) -> None:
        self._seed = f"{assignment.run_id}/{assignment.seed}"
        self._worker = worker
        self._users = 0
        rows = assignment.payload
        texts = [row.trace_text for row in rows if row.trace_text is not None]
        # The payload's own seed makes the same text in every run, and the run's another one in each.
        text_seed = self._seed if assignment.unique_prefix else str(assignment.seed)
        self._trace_prompts = (
            TracePrompts(texts, text_seed, unique=assignment.unique_prefix) if texts else None
        )
        scripts = [] if texts else scripts_of(rows, assignment.conversation)
        self.prompts = {row.payload_id: row.shown for row in rows if row.trace_text is None}
        """By payload id, for a reader."""
        make = partial(
            BodyFactory,
            schema=assignment.request_schema,
            route=assignment.route,
            stream=assignment.stream,
            parameters=assignment.parameters,
            running_usage=assignment.running_usage,
            exact_for=assignment.exact_for,
            unique_prefix=assignment.unique_prefix,
        )
        self._bodies = make([] if scripts or texts or assignment.mix else rows)
        self._mix = None
        if assignment.mix:
            parts = {part: make([row for row in rows if row.part == part]) for part in assignment.mix}
            self._mix = MixedBodies(parts, assignment.mix, self._seed, worker)
        self.dialogues = Dialogues(
            scripts, self._bodies, assignment.conversation, self._seed, self._trace_prompts
        )
        """Conversations, if the payload or the trace has any."""

    def _user_seed(self) -> str:
        self._users += 1
        return f"{self._seed}/{self._worker}/{self._users}"

    def bodies_of_user(self) -> Iterator[Body]:
        """The bodies of the next user of a closed loop, in its own seeded order."""
        if self._mix is not None:
            return self._mix.of_users()
        return self._bodies.bodies(self._user_seed())

    def dialogues_of_user(self) -> Iterator[Dialogue]:
        """The conversations of the next user of a closed loop, in its own seeded order."""
        return self.dialogues.of_user(self._user_seed())

    def shown(self, body: Body) -> str:
        """The prompt of a body for a reader; of a trace, the body."""
        known = self.prompts.get(body.payload_id)
        return body.data.decode(errors="replace") if known is None else known

    def arrival_body(self, arrival: Arrival) -> Body:
        """The body of an arrival: it depends on the arrival and not on the worker."""
        if arrival.body is not None:
            return Body(_CAPTURED, None, arrival.body, hashlib.sha256(arrival.body).hexdigest())
        if self._trace_prompts is not None:
            row = self._trace_prompts.row(arrival)
            return self._bodies.whole_body(row, output_tokens=arrival.output_tokens)
        if self._mix is not None:
            return self._mix.of_arrival(arrival.number)
        if arrival.prompt_tokens is None and arrival.output_tokens is None:
            return self._bodies.body(self._seed, arrival.number)
        return self._bodies.sized_body(
            self._seed,
            arrival.number,
            prompt_tokens=arrival.prompt_tokens,
            output_tokens=arrival.output_tokens,
        )
