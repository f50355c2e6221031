"""Find a payload file by its label and check it before a run starts."""

import json
from pathlib import Path

from configs.errors import UserError

BUILT = Path(__file__).parent / "built"


def payload_path(payload: str, built: Path = BUILT) -> Path:
    """The file that a plan's ``workload.payload`` means: a label, a file name, or a path of one's own.

    Raises:
        UserError: when there is no such file.
    """
    label = payload.removeprefix("payload_").removesuffix(".jsonl")
    candidates = [Path(payload), built / payload, built / f"payload_{label}.jsonl"]
    for path in candidates:
        if path.is_file():
            return path.resolve()
    known = sorted(path.stem.removeprefix("payload_") for path in built.glob("payload_*.jsonl"))
    listed = f"; built are {', '.join(known)}" if known else "; `make setup` builds them"
    raise UserError(f"workload.payload: no payload {payload!r}{listed}")


def check_payload(path: Path) -> int:
    """Number of prompts in a payload file.

    Raises:
        UserError: a line that is not ``{"prompt": text, …}``, or no line at all.
    """
    count = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                row = json.loads(line)
                if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
                    raise UserError(
                        f'{path}:{number}: a payload line is {{"prompt": "…", "payload_id": "…"}}'
                    )
                count += 1
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{count + 1}: not a JSON line ({error.msg})") from None
    if not count:
        raise UserError(f"{path}: holds no prompts")
    return count
