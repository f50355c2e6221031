"""FMBench's 15 requests and 15 bursts of 22 March 2024, as FMBench recorded them (published under MIT-0)."""

import json
from pathlib import Path

REQUESTS = (  # latency s, prompt tokens, completion tokens
    (0.8044665840134257, 1339, 9),
    (4.258487790997606, 1932, 102),
    (0.568672166991746, 1154, 9),
    (0.6775404999934835, 1646, 9),
    (0.9973947500111535, 1397, 19),
    (1.278557625002577, 1746, 24),
    (0.6403765839932021, 1373, 9),
    (0.5364847500022734, 1598, 5),
    (4.17101074999664, 1743, 102),
    (4.039660374997766, 1539, 102),
    (4.1199333330005175, 1695, 102),
    (3.9780457080050837, 1421, 102),
    (4.218003583009704, 1918, 102),
    (4.212967083003605, 1910, 102),
    (0.82237225001154, 1939, 10),
)
BURSTS = (  # record time, time of its request's record, prompt tokens per second
    (1711148101.0293791, 1711148101.247627, 1648.23),
    (1711148105.7731562, 1711148105.9899242, 452.33),
    (1711148106.794579, 1711148107.0128891, 1996.84),
    (1711148107.9320052, 1711148108.1498072, 2378.19),
    (1711148109.385474, 1711148109.609418, 1378.18),
    (1711148111.1507452, 1711148111.3764129, 1350.35),
    (1711148112.268801, 1711148112.4686358, 2100.21),
    (1711148113.297578, 1711148113.502196, 2906.79),
    (1711148117.9355211, 1711148118.1832309, 416.09),
    (1711148122.449034, 1711148122.6439471, 379.93),
    (1711148126.993, 1711148127.1968472, 410.42),
    (1711148131.426923, 1711148131.654863, 355.99),
    (1711148136.173582, 1711148136.403133, 453.05),
    (1711148140.857368, 1711148141.0755289, 451.72),
    (1711148142.160564, 1711148142.37158, 2310.68),
)
NAME = "llama2-7b-g5.xlarge-huggingface-pytorch-tgi-inference-2.0.1-tgi1.1.0"
PAYLOAD = "payload_en_1000-2000.jsonl"


def write_fmbench_folder(folder: Path) -> Path:
    """The same folder as FMBench left it: one file per request and one per burst."""
    for kind in ("per_inference", "per_chunk"):
        (folder / kind).mkdir(parents=True)
    common = {"experiment_name": NAME, "concurrency": 1}
    for (latency, prompt, completion), (burst, request, rate) in zip(REQUESTS, BURSTS, strict=True):
        record = common | {
            "endpoint_name": "an-endpoint",
            "completion": "an answer",
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "latency": latency,
        }
        chunk = common | {
            "payload_file": PAYLOAD,
            "errors": [],
            "successes": 1,
            "error_rate": 0.0,
            "all_prompts_token_count": prompt,
            "prompt_token_throughput": rate,
            "all_completions_token_count": completion,
        }
        (folder / "per_inference" / f"{request!r}.json").write_text(json.dumps(record))
        (folder / "per_chunk" / f"{burst!r}.json").write_text(json.dumps(chunk))
    return folder
