"""CloudWatch beside the client: where the milliseconds of a request go."""

import numpy as np

from analysis.decide.cloudwatch import cloudwatch_latencies
from analysis.measure.results import RunResult
from analysis.render.plots.drawing import HUES, Drawing, canvas, finish, legend_below
from common.formatting import milliseconds


def where_time_goes(result: RunResult) -> Drawing | None:
    """Mean latency per step, split into model, SageMaker's overhead, and network with client."""
    views = cloudwatch_latencies(result)
    if not views:
        return None
    parts = (
        ("model", [v.model_ms for v in views], ""),
        ("SageMaker overhead", [v.overhead_ms or 0.0 for v in views], "////"),
        ("network and client", [v.rest_ms for v in views], "...."),
    )
    with canvas(1.7 + 0.4 * len(views)) as (figure, axes):
        places = np.arange(len(views))[::-1]
        left = np.zeros(len(views))
        for index, (name, values, hatch) in enumerate(parts):
            widths = np.array(values) / 1000
            color = HUES[index + 3]
            axes.barh(
                places,
                widths,
                left=left,
                height=0.55,
                label=name,
                color=color,
                hatch=hatch,
                edgecolor="white",
            )
            left += widths
        axes.plot(
            [v.client_ms / 1000 for v in views],
            places,
            "|",
            markersize=16,
            color="#1b2430",
            label="client mean",
        )
        axes.set_yticks(places, [v.step.id for v in views], fontsize=8.5)
        axes.set_xlabel("mean latency (s)")
        axes.grid(visible=True, axis="x")
        axes.set_axisbelow(True)
        legend_below(figure, [axes], 4)
        most = max(views, key=lambda v: v.rest_ms)
        return finish(
            figure,
            result,
            name="where_time_goes",
            title="Where the milliseconds go",
            alt="Mean latency per step split into model, SageMaker overhead, and network with client.",
            caption="CloudWatch's ModelLatency and OverheadLatency of whole periods inside the window, "
            f"beside the client's mean. Outside both: at most {milliseconds(most.rest_ms)}.",
        )
