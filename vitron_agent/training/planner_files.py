"""What recipe `planner` reads and writes: exported folders, and checkpoints to go on from."""

import copy
import json
import os
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.training.loop import Ema, replace_folder_files


def load_exported(folder: Path) -> dict[str, Tensor]:
    """Weights of an exported planner under this model's names, in fp32; an older export may lack the adapter."""
    model = PlannerModel.load(folder)
    return {key: value.float() for key, value in model.state_dict().items()}


def averaged(model: PlannerModel, ema: Ema) -> PlannerModel:
    """A copy with the averaged weights, in evaluation mode (and without the training's attention and compilation)."""
    config = copy.deepcopy(model.llava.config)
    config._attn_implementation = "sdpa"
    other = PlannerModel.new(config)
    other.load_state_dict({**model.state_dict(), **ema.shadow})
    return other.eval()


def export(model: PlannerModel, vocabulary: Vocabulary, folder: Path) -> None:
    """Write the planner's folder in half precision (LLaVA layout, extra, tokenizer); the model becomes half too."""

    def write(scratch: Path) -> None:
        model.half().save(scratch)
        vocabulary.tokenizer.save_pretrained(scratch)

    replace_folder_files(folder, write)


def save_checkpoint(path: Path, model: PlannerModel, ema: Ema, counters: dict[str, float]) -> None:
    """Write weights, averages and counters atomically. Momenta are not kept: a resumed run warms up again."""
    tensors = {f"model/{k}": v for k, v in model.state_dict().items()} | {f"ema/{k}": v for k, v in ema.shadow.items()}
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save_file(
        {k: v.detach().clone().contiguous() for k, v in tensors.items()}, temporary, {"counters": json.dumps(counters)}
    )
    os.replace(temporary, path)


def load_checkpoint(path: Path, model: PlannerModel, ema: Ema) -> dict[str, float]:
    """Read what `save_checkpoint` wrote and return the counters."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        counters: dict[str, float] = json.loads(file.metadata()["counters"])
    model.load_state_dict({k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")})
    for key in ema.shadow:
        ema.shadow[key].copy_(tensors[f"ema/{key}"])
    ema.updates = int(counters["updates"])
    return counters
