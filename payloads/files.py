"""Find a payload file by its label."""

from pathlib import Path

from common.errors import UserError

BUILT = Path(__file__).parent / "built"


def payload_path(payload: str, built: Path = BUILT) -> Path:
    """The file that a plan's ``workload.payload`` means: a label, a file name, or a path.

    Raises:
        UserError: there is no such file.
    """
    label = payload.removeprefix("payload_").removesuffix(".jsonl")
    candidates = [Path(payload), built / payload, built / f"payload_{label}.jsonl"]
    for path in candidates:
        if path.is_file():
            return path.resolve()
    known = sorted(path.stem.removeprefix("payload_") for path in built.glob("payload_*.jsonl"))
    finding = f"workload.payload: no payload {payload!r}"
    if known:
        raise UserError(finding, f"name a file, or one of {', '.join(known)}")
    raise UserError(finding, "name a file, or build the payloads", "built payloads")
