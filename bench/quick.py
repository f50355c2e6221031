"""A quick check of one endpoint: what it plays, and the paragraph at its end."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench.json_lines import add_to_result
from bench.terminal import print_status, result_console
from common.errors import writing
from common.text import printable
from configs.containers import schema_of
from configs.plan import Plan
from configs.plan_yaml import read_plan_yaml
from configs.reading import read_plan
from deploy.spec.endpoint_description import running_container
from runfolder.manifest import read_manifest

if TYPE_CHECKING:
    from analysis.decide.quick import QuickFacts

CONFIGS = Path(__file__).parents[1] / "configs"
ENDPOINT_PLAN = CONFIGS / "endpoint.yml"
LOCAL_PLAN = CONFIGS / "local.yml"
NEXT_PLAN = "next.yml"
_LOAD = {"concurrency": [1], "warm_up": "3s", "measure": "45s", "min_requests": 100}
_MAX_TOKENS = 64


def quick_plan(endpoint: str | None, component: str | None) -> Plan:
    """One user for at most 45 seconds: on an existing endpoint, or on the local model without one."""
    overrides: dict[str, Any] = {"name": "quick", "load": _LOAD}
    if endpoint is None:
        return read_plan(LOCAL_PLAN, overrides)
    overrides |= {
        "workload": {"payload": "en_50-100", "max_tokens": _MAX_TOKENS},
        "endpoint.name": endpoint,
    }
    if component:
        overrides["endpoint.components"] = [{"name": component}]
    return read_plan(ENDPOINT_PLAN, overrides)


def quick_report(folder: Path) -> bool:
    """Print the paragraph of a finished check.

    Returns:
        Whether the endpoint answers.
    """
    from analysis.decide.quick import quick_facts  # noqa: PLC0415 - mistakes are reported before pandas
    from analysis.render.quick_text import quick_text  # noqa: PLC0415
    from analysis.report import measure_and_judge  # noqa: PLC0415

    facts = quick_facts(measure_and_judge(folder))
    text = quick_text(facts, _next_command(facts, folder))
    result_console.print(f"\n{printable(text)}", markup=False)
    paths = {"folder": str(folder)}
    add_to_result(answer=text.splitlines(), works=facts.works, paths=paths)
    print_status(f"\nevery request: {folder}; `make report RUN={folder}` makes a report of them")
    return facts.works


def _next_command(facts: "QuickFacts", folder: Path) -> str:
    """What to run next: measure under load, or look for the reason of the failures."""
    manifest = read_manifest(folder)
    (entry,), plan = manifest.experiments, manifest.plan
    endpoint, workload = plan["endpoint"]["name"], plan["workload"]
    if not facts.works:
        return f"aws logs tail /aws/sagemaker/Endpoints/{endpoint} --since 10m" if endpoint else "make quick"
    if endpoint is None:
        return "make bench"
    found = {"schema": workload["schema"], "stream": workload["stream"]}
    components = [{"name": part["name"]} for part in plan["endpoint"]["components"]]
    described = schema_of(running_container(entry.endpoint, entry.component).family)
    if not components and found == {"schema": described, "stream": True}:
        return f"make bench ENDPOINT={endpoint}"
    content = read_plan_yaml(ENDPOINT_PLAN.read_text(encoding="utf-8"))
    content["workload"] |= found
    content["endpoint"] = {"name": endpoint} | ({"components": components} if components else {})
    with writing(file := folder / NEXT_PLAN):
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return f"make bench PLAN={file}"
