"""What learns in a planner of published size: LoRA by peft, the rows of the template's words, projector, regions.

As the release has it (`scripts/finetune_lora.sh` of SkyworkAI/Vitron): LoRA on all seven kinds of linear layers of the
language model, alpha twice the rank, dropout 0.1. It writes tags as plain text; ours are words of their own, so their
rows in both tables learn, too. Needs the extra `training`. Knows neither data nor how long a run is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vitron_agent.errors import CheckpointError
from vitron_agent.planner.checkpoints import read_tensors
from vitron_agent.planner.engine import VitronPlanner
from vitron_agent.planner.processor import Turn
from vitron_agent.planner.starts import ADAPTED, PROJECTOR, PROJECTOR_LAYERS, REGIONS, fill_beside_words
from vitron_agent.planner.tokenizer import TAGS, signal_names
from vitron_agent.training.release_loss import read_conversation
from vitron_agent.training.release_synergy import ModuleAdversary

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The language model's layers that LoRA adapts."""
_TOWER = r".*vision_tower.*"  # has layers of the same names
# Where the language model's layers are in LLaVA, and in the release.
_OURS, _RELEASE = "model.language_model.", "model."


@dataclass(frozen=True)
class Rates:
    """Greatest learning rates of a stage; what has none stays as it is.

    Attributes:
        adapters: of LoRA and the words' rows.
        beside: of projector and region encoder.
        adversary: of the discriminator that stage 3 has.
        reversal: weight of its reversed gradient at the end of a run.
    """

    adapters: float
    beside: float
    adversary: float = 0.0
    reversal: float = 0.0

    def scaled_to(self, lr: float) -> "Rates":
        """The same proportions with `lr` as the adapters' rate; where they have none, as the other's."""
        factor = lr / (self.adapters or self.beside)
        return replace(
            self, adapters=self.adapters * factor, beside=self.beside * factor, adversary=self.adversary * factor
        )


STAGES = {
    "1.1": Rates(0.0, 3e-4),  # alignment of the encoders, language model frozen; paper, appendix C
    "1.2": Rates(2e-4, 2e-5),  # invocation tuning; the release's script
    "2": Rates(1e-5, 1e-5),  # grounding; paper, appendix C
    "3": Rates(1e-5, 1e-5, 1e-4, 0.3),  # synergy; the paper names the first rate alone
}
"""The paper's stages that teach the planner from conversations."""


class LoraPlanner(nn.Module):
    """A planner with adapters: returns losses of conversations, and writes what it learned."""

    def __init__(self, planner: VitronPlanner, rank: int, rates: Rates, dropout: float = 0.1) -> None:
        """Put adapters into the planner's model, which is changed. At first they change no logits.

        Args:
            planner: As `full_size.load_base` gives it.
            rank: Of LoRA.
            rates: Of the stage.
            dropout: Share of LoRA's inputs that is left out in training.
        """
        super().__init__()
        self.model, self.processor, self.rates = planner.model, planner.processor, rates
        names = (*TAGS, *signal_names(planner.vocabulary.per_module, planner.vocabulary.shared))
        rows = [planner.vocabulary.id(name) for name in names]
        self.config = LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            lora_dropout=dropout,
            target_modules=list(LINEAR),
            exclude_modules=_TOWER,
            trainable_token_indices={"embed_tokens": rows, "lm_head": rows},
        )
        inject_adapter_in_model(self.config, self.model.llava)
        self.adapters = [p for p in self.model.llava.parameters() if p.requires_grad]
        self.beside = [*self.model.llava.model.multi_modal_projector.parameters(), *self.model.regions.parameters()]
        for parameters, rate in ((self.adapters, rates.adapters), (self.beside, rates.beside)):
            for parameter in parameters:
                parameter.data = parameter.data.float()  # small steps are lost in half precision
                parameter.requires_grad_(rate > 0)
        self.adversary: ModuleAdversary | None = None
        if rates.adversary:
            self.adversary = ModuleAdversary(planner.vocabulary, self.model.d_llm, rates.reversal)
        layer: Any
        for layer in self.model.language_model.layers:  # activations are computed twice instead of kept
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)

    def forward(self, turns: Sequence[Turn], done: float = 0.0) -> Tensor:
        """The loss of one conversation when `done` (0 to 1) of a run is over: of its words, and stage 3's adversary."""
        read = read_conversation(self.model, self.processor, turns)
        loss = read.words_loss(self.model)
        return loss if self.adversary is None else loss + self.adversary(read.ids, read.states, done)

    def learned(self) -> nn.ParameterList:
        """What this stage changes, in a fixed order."""
        return nn.ParameterList(p for p in (*self.adapters, *self.beside, *self._opposed()) if p.requires_grad)

    def _opposed(self) -> list[nn.Parameter]:
        return [] if self.adversary is None else list(self.adversary.parameters())

    def optimiser(self) -> torch.optim.AdamW:
        """AdamW with the stage's rates, without decay, as the release's script."""
        groups = [
            {"params": self.adapters, "lr": self.rates.adapters},
            {"params": self.beside, "lr": self.rates.beside},
            {"params": self._opposed(), "lr": self.rates.adversary},
        ]
        return torch.optim.AdamW([group for group in groups if group["lr"]], weight_decay=0.0)

    def start_from(self, folder: Path) -> None:
        """Go on from the adapter of an earlier stage, see `export`.

        Raises:
            CheckpointError: A file is missing or damaged, or the adapter is of another rank or for another model.
        """
        read = read_tensors(folder, "adapter_model.safetensors")
        state = {_renamed(name.removeprefix(ADAPTED), _RELEASE, _OURS): value for name, value in read.items()}
        wanted = {name: value.shape for name, value in get_peft_model_state_dict(self.model.llava).items()}
        if wanted != {name: value.shape for name, value in state.items()}:
            raise CheckpointError(f"{folder} holds an adapter of another rank, or for another planner: train it anew")
        set_peft_model_state_dict(self.model.llava, state)
        fill_beside_words(self.model.llava, self.model.regions, folder)

    def export(self, folder: Path) -> None:
        """Write adapter_config.json, adapter_model.safetensors and non_lora_trainables.safetensors.

        By the release's names, so that peft reads them onto the Vicuna below, and `starts.adapt` onto the planner.
        """
        state = {
            ADAPTED + _renamed(name, _OURS, _RELEASE): value
            for name, value in get_peft_model_state_dict(self.model.llava).items()
        }
        ours = {name: release for release, name in PROJECTOR_LAYERS.items()}
        projector = self.model.llava.model.multi_modal_projector.state_dict()
        beside = {PROJECTOR + ours[name[:9]] + name[9:]: value for name, value in projector.items()}
        beside |= {REGIONS + name: value for name, value in self.model.regions.state_dict().items()}
        replace(self.config, exclude_modules=None).save_pretrained(str(folder))  # the Vicuna has no tower
        _save(state, folder / "adapter_model.safetensors")
        _save({ADAPTED + name: value for name, value in beside.items()}, folder / "non_lora_trainables.safetensors")


def _renamed(name: str, old: str, new: str) -> str:
    """A name that begins differently; the head's names begin alike in both layouts."""
    return new + name.removeprefix(old) if name.startswith(old) else name


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path, {"format": "pt"})
