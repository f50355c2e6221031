"""``python -m payloads``: build every bucket, unless the same files exist."""

import hashlib
import json
from pathlib import Path

import click

from common.errors import UserError
from payloads.build import BUCKETS, Corpus, build_bucket, write_payload
from payloads.corpus import speeches
from payloads.files import BUILT
from payloads.measures import TokenRuler

SEED = 20240322


@click.command()
@click.option("--tokenizer", type=click.Path(path_type=Path), required=True, help="A tokenizer.json.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=BUILT, show_default=False)
@click.option("--seed", type=int, default=SEED, show_default=True)
@click.option("--force", is_flag=True, help="Build again even if the same files exist.")
def main(tokenizer: Path, out: Path, seed: int, force: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Build the prompts of every length bucket with a tokenizer."""
    if not tokenizer.is_file():
        raise UserError(f"{tokenizer}: no such tokenizer", "give the path of a tokenizer.json")
    recipe = {
        "seed": seed,
        "tokenizer_sha256": hashlib.sha256(tokenizer.read_bytes()).hexdigest(),
        "buckets": [[b.low, b.high, b.count] for b in BUCKETS],
    }
    note = out / "recipe.json"
    if not force and note.is_file() and json.loads(note.read_text(encoding="utf-8")) == recipe:
        return
    out.mkdir(parents=True, exist_ok=True)
    corpus = Corpus.tokenized(speeches(), TokenRuler.from_file(tokenizer))
    for bucket in BUCKETS:
        prompts = build_bucket(bucket, corpus, seed)
        write_payload(out / bucket.file_name, prompts)
        click.echo(f"{bucket.file_name}: {len(prompts)} prompts")
    note.write_text(json.dumps(recipe) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except UserError as error:
        raise SystemExit(f"payloads: {error}") from None
