"""A payload file is read one way: what the check before a deploy accepts is what the load sends."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from configs.payload import PayloadRow, read_payload

TEXT = st.text(st.characters(blacklist_categories=["Cs"]))


def payload(folder: Path, text: str) -> Path:
    path = folder / "payload.jsonl"
    path.write_bytes(text.encode())
    return path


@given(prompts=st.lists(TEXT | st.just("one\u2028two\u0085three\r"), min_size=1, max_size=5))
def test_every_prompt_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, prompts: list[str]
) -> None:
    lines = (json.dumps({"payload_id": "a", "prompt": text}, ensure_ascii=False) + "\n" for text in prompts)
    path = payload(tmp_path_factory.mktemp("payload"), "".join(lines))
    assert [row.prompt for row in read_payload(path)] == prompts


def test_a_row_without_an_id_is_named_by_its_line_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = payload(tmp_path, '{"prompt": "a", "prompt_tokens": 3}\r\n\n{"prompt": "b", "payload_id": 7}\n\n')
    assert read_payload(path) == [PayloadRow("line-1", "a", 3), PayloadRow("7", "b", None)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("nonsense", "not a JSON line"),
        ("{", "not a JSON line"),
        ("[]", "a payload line is"),
        ('{"text": "x"}', "a payload line is"),
        ('{"prompt": 1}', "a payload line is"),
        ('{"prompt": "x \\ud83d"}', "prompt holds half a surrogate pair"),
        ('{"prompt": "x", "payload_id": "\\udc00"}', "payload_id holds half a surrogate pair"),
        ('{"prompt": "x", "payload_id": []}', "payload_id must be text"),
        ('{"prompt": "x", "prompt_tokens": "12"}', "prompt_tokens must be a whole number"),
        ('{"prompt": "x", "prompt_tokens": 1.5}', "prompt_tokens must be a whole number"),
        ('{"prompt": "x", "prompt_tokens": true}', "prompt_tokens must be a whole number"),
    ],
)
def test_a_bad_line_is_named_in_one_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    path = payload(tmp_path, '{"payload_id": "a", "prompt": "b"}\n' + line + "\n")
    with pytest.raises(UserError, match=r"payload\.jsonl line 2: ") as caught:
        read_payload(path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_prompts_or_of_another_encoding_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no prompts"):
        read_payload(payload(tmp_path, "\n"))
    (tmp_path / "latin.jsonl").write_bytes('{"prompt": "é"}'.encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_payload(tmp_path / "latin.jsonl")
    with pytest.raises(UserError, match="cannot be read"):
        read_payload(tmp_path / "none.jsonl")
