"""How exact the lengths of prompts and answers are: asked in a plan, counted by a real model.

    python -m bench.benchmarks.prompt_lengths play [--tokenizer]
    python -m bench.benchmarks.prompt_lengths speed

``play``: a payload for each distribution and bucket against SmolLM2-135M on this machine, with the endpoint's
own counts or with the model's tokenizer. ``speed``: the time to make 1,000 prompts of 4,000
tokens. Each prints a table of docs/prompts.md.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import yaml

from configs.payload_spec import PayloadSpec
from emulator.model import ensure_tokenizer
from payloads.asked import asked_lengths
from payloads.generate import Recipe, generate
from payloads.measures import Ruler, Scale, TokenRuler, WordRuler
from runfolder import layout
from runfolder.manifest import read_manifest

_TRACE = "time,prompt_tokens,output_tokens\n0,374,4\n1,90,2\n2,1155,3\n3,219,6\n4,640,2\n"
SHORT: tuple[dict[str, Any], ...] = (
    {"lengths": "D(60)/(6)"},
    {"lengths": "N(480,240)/(8,4)"},
    {"lengths": "U(50,100)/(2,8)"},
    {"lengths": "trace.csv"},
    {"lengths": "D(400)/(4)", "prefix": {"groups": 2, "share": 0.5}, "name": "prefix"},
    {"lengths": "D(400)/(4)", "languages": ["de", "zh"], "name": "languages"},
)
"""Payloads that get more requests, so that the mean of those sent is near that of the distribution."""
LONG: tuple[dict[str, Any], ...] = (
    {"lengths": "D(1000)/(4)"},
    {"lengths": "U(500,1000)/(2,4)"},
    {"lengths": "U(1000,2000)/(2,4)"},
    {"lengths": "U(3000,4000)/(2,2)"},
)
_MORE = 4


@click.group(help=(__doc__ or "").split("\n", maxsplit=1)[0])
def main() -> None:
    """See the module's text."""


@main.command(help="The time to make 1,000 prompts of 4,000 tokens.")
def speed() -> None:
    """Print the seconds for each way to measure them."""
    spec = PayloadSpec(lengths="D(4000)/(1)", count=1000)
    print("| lengths by | seconds |")
    print("|---|---:|")
    rulers: dict[str, Ruler] = {"words": WordRuler(), "tokenizer": TokenRuler.from_file(ensure_tokenizer())}
    for name, ruler in rulers.items():
        recipe = Recipe(spec, ruler, {"en": Scale(30.0, 1.0)}, 1, unique_prefix=True)
        began = time.perf_counter()
        generate(recipe, asked_lengths(spec, 1))
        print(f"| {name} | {time.perf_counter() - began:.1f} |", flush=True)


@main.command(help="Lengths as a real model counts them.")
@click.option("--tokenizer", is_flag=True, help="Count with the model's tokenizer.")
@click.option(
    "--requests", default=3, show_default=True, help="Requests of a long payload; others get 4 times as many."
)
def play(tokenizer: bool, requests: int) -> None:  # noqa: FBT001 - click passes flags so
    """Print a row for each payload."""
    print("| payload | requests | asked, mean | counted, mean | off, mean | off, most | answers off |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "trace.csv").write_text(_TRACE, encoding="utf-8")
        file = ensure_tokenizer() if tokenizer else None
        for payloads, number in ((SHORT, _MORE * requests), (LONG, requests)):
            _play(folder, _plan(folder, payloads, number, file))


def _play(folder: Path, plan: dict[str, Any]) -> None:
    path = folder / "plan.yml"
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")
    command = [sys.executable, "-m", "bench", "run", "--plan", str(path), "--results", str(folder / "runs")]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # so few requests leave steps void
    run = folder / "runs" / layout.LATEST
    rows = pd.read_csv(run / layout.REQUESTS)
    for entry in read_manifest(run).experiments:
        lengths = entry.made_prompts.lengths if entry.made_prompts else ""
        print(_cells(f"`{lengths}`, {entry.payload}", rows[rows["step"].isin(entry.steps)]), flush=True)


def _plan(
    folder: Path, payloads: Sequence[dict[str, Any]], requests: int, tokenizer: Path | None
) -> dict[str, Any]:
    model = {"name": "SmolLM2-135M-Instruct", "source": "local", "context_length": 8192}
    model |= {"env": {"SM_LLAMA_CPP_PARALLEL": "2", "SM_LLAMA_CPP_CTX_SIZE": "16384"}}
    named = [
        payload | ({"lengths": str(folder / "trace.csv")} if payload["lengths"] == "trace.csv" else {})
        for payload in payloads
    ]
    return {
        "name": "lengths",
        "model": model | ({"tokenizer": str(tokenizer)} if tokenizer else {}),
        "endpoint": {"instance_type": "ml.c6i.large", "region": "us-east-1"},
        "workload": {"payload": named, "parameters": {"temperature": 0}},
        "load": {"concurrency": [1], "warm_up": 0, "measure": "10m", "min_requests": requests},
        "price": {"usd_per_hour": 0.1},
    }


def _cells(name: str, rows: pd.DataFrame) -> str:
    ok = rows[(rows["outcome"] == "ok") & (rows["prompt_tokens_source"] == "server")]
    asked, counted = ok["asked_prompt_tokens"], ok["prompt_tokens"]
    off = np.abs(counted / asked - 1)
    answers = np.abs(ok["completion_tokens"] / ok["asked_output_tokens"] - 1)
    return (
        f"| {name} | {len(ok)} | {asked.mean():,.1f} | {counted.mean():,.1f} | {off.mean():.2%} | "
        f"{off.max():.2%} | {answers.mean():.2%} |"
    )


if __name__ == "__main__":
    main()
