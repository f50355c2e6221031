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


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (
            {"id": "s1", "conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
            PayloadRow("s1", "Q", None),
        ),
        (
            {"conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "Q"}]},
            PayloadRow(
                "line-1", "", None, [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]
            ),
        ),
        ({"_id": "l", "context": "C", "input": "Q", "answers": []}, PayloadRow("l", "C\n\nQ", None)),
        ({"prompt": "Q", "output_tokens": 9}, PayloadRow("line-1", "Q", None, output_tokens=9)),
        ({"prompt": "Q", "shared_prefix": "S"}, PayloadRow("line-1", "Q", None, shared_prefix="S")),
    ],
)
def test_rows_of_published_data_sets_are_read(tmp_path: Path, content: object, row: PayloadRow) -> None:
    assert read_payload(payload(tmp_path, json.dumps(content))) == [row]
    assert read_payload(payload(tmp_path, json.dumps([content], indent=1))) == [row], "or in one JSON list"


def test_a_template_makes_the_prompt_of_the_fields_of_a_row(tmp_path: Path) -> None:
    path = payload(tmp_path, '{"context": "C {input}", "input": "Q", "id": 3, "n": 5}\n')
    (row,) = read_payload(path, "{context}|{input}|{n}|{}")
    assert row == PayloadRow("3", "C {input}|Q|5|{}", None)
    with pytest.raises(UserError, match="line 1: the row has no question, which the template names"):
        read_payload(path, "{question}")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"conversations": []}, "have no turn of a human"),
        ({"conversations": "x"}, "have no turn of a human"),
        (
            {"conversations": [{"from": "tool", "value": "x"}]},
            "must have from (human, gpt or system) and value",
        ),
        ({"conversations": [{"from": "human"}]}, "must have from (human, gpt or system) and value"),
        ({"prompt": "x", "output_tokens": 0}, "output_tokens must be a whole number above 0"),
        ({"prompt": "x", "shared_prefix": 3}, "shared_prefix must be text"),
        ({"body": {}, "shared_prefix": "x"}, "shared_prefix must be text before a prompt"),
    ],
)
def test_a_bad_row_of_a_data_set_is_named(tmp_path: Path, content: object, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        read_payload(payload(tmp_path, json.dumps(content)))
    assert sentence in str(caught.value)
