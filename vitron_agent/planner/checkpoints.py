"""Files of published language models: tensors of safetensors or pickles, one file or shards; sentencepiece's words.

How pickles are read, in which code never runs, is said in pickles.py. Knows files, no models.
"""

import json
import struct
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlamaTokenizer
from transformers.convert_slow_tokenizer import generate_merges

from vitron_agent.errors import CheckpointError, is_lack_of_memory, quoted
from vitron_agent.pickles import pickled_tensors

REMEDY = "fetch the folder again as it is published"
_WHOLE = ("model.safetensors", "pytorch_model.bin")
_UNMERGED = (2, 3, 6)  # kinds of pieces that are not put together of others: unknown, control, byte


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    try:
        values = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder / name} is missing: {REMEDY}") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / name} is damaged ({quoted(str(error))}): {REMEDY}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{folder / name} holds no JSON object: {REMEDY}")
    return values


def read_tensors(folder: Path, *names: str) -> dict[str, Tensor]:
    """Read all tensors of a folder.

    Args:
        folder: Where they lie.
        *names: The file, the first of these that is there; by default a model's, or the shards that its index names.

    Raises:
        CheckpointError: A file is missing or damaged, or a pickle that holds more than tensors.
    """
    for name in names or _WHOLE:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return _read(folder / name)
        if not names and index.is_file():
            table = read_config(folder, index.name).get("weight_map")
            if not isinstance(table, dict):
                raise CheckpointError(f"{index} names no shards: {REMEDY}")
            shards = sorted({Path(str(shard)).name for shard in table.values()})
            return {name: value for shard in shards for name, value in _read(folder / shard).items()}
    raise CheckpointError(f"{folder / (names or _WHOLE)[0]} is missing: {REMEDY}")


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return pickled_tensors(path, REMEDY)
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: {REMEDY}") from None
    except (OSError, SafetensorError) as error:
        if is_lack_of_memory(error):
            raise
        raise CheckpointError(f"{path} is damaged ({quoted(str(error))}): {REMEDY}") from None


def read_sentencepiece(path: Path) -> LlamaTokenizer:
    """Make a tokenizer of sentencepiece's `tokenizer.model`, which is all that Vicuna's folder has.

    Raises:
        CheckpointError: It is missing, or is none.
    """
    try:
        pieces = _pieces(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: {REMEDY}") from None
    except (OSError, ValueError, KeyError, IndexError, struct.error) as error:
        raise CheckpointError(f"{path} is no sentencepiece model ({quoted(str(error))}): {REMEDY}") from None
    vocab = {piece: place for place, (piece, _, _) in enumerate(pieces)}
    if not {"<unk>", "<s>", "</s>"} <= vocab.keys():
        raise CheckpointError(f"{path} is no sentencepiece model of a Llama: {REMEDY}")
    scores = {piece: score for piece, score, _ in pieces}
    merges = generate_merges(vocab, scores, [piece for piece, _, kind in pieces if kind in _UNMERGED])
    return LlamaTokenizer(vocab=vocab, merges=merges, legacy=False, add_bos_token=False)


def _pieces(data: bytes) -> list[tuple[str, float, int]]:
    """Read the pieces off a ModelProto: its field 1, of which field 1 is the text, 2 the score, 3 the kind."""
    found = []
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            piece = dict(_fields(value))
            score = struct.unpack("<f", bytes(piece.get(2, bytes(4))))[0]
            found.append((bytes(piece[1]).decode("utf-8"), score, int(piece.get(3, 1))))
    return found


def _fields(data: bytes) -> list[tuple[int, Any]]:
    """Split a protobuf message into (field number, value): numbers as int, all else as bytes."""
    out: list[tuple[int, Any]] = []
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _number(data, at)
            out.append((key >> 3, value))
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"field of kind {kind} at byte {at}")
        length, at = _number(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + length > len(data):
            raise ValueError(f"truncated at byte {at}")
        out.append((key >> 3, data[at : at + length]))
        at += length
    return out


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; return it and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
