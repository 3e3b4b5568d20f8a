"""Stage 1.3 at full size: what a mapper makes of the frozen planner's signals shall help frozen GLIGEN to draw.

The denoising loss of VITRON, section 4.1 and appendix B.4, on pictures that samples name as what should be drawn. Its
distance to the words' own encoding is left out: here the words stay beside the signals, which add what words lack. How
likely signal tokens are is learned in stage 1.2. Knows one conversation at a time; not data or how long a run is.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from safetensors.torch import save_file
from torch import Tensor, nn

from vitron_agent.invocation import Invocation, Module
from vitron_agent.planner.engine import VitronPlanner
from vitron_agent.planner.processor import AssistantTurn, Turn
from vitron_agent.signals import SignalMapper
from vitron_agent.specialists.gligen.conditioning import Condition
from vitron_agent.specialists.gligen.generator import make_condition
from vitron_agent.specialists.gligen.parts import GligenParts
from vitron_agent.training.gligen_data import encode_pictures
from vitron_agent.training.gligen_steps import diffusion_loss
from vitron_agent.training.loop import half_precision
from vitron_agent.training.release_loss import read_conversation
from vitron_agent.training.signals_data import signal_runs

RATE = 3e-4
"""Greatest learning rate: the paper's of all of stage 1 (appendix C)."""
WIDTH = 512
"""Inner width of the mapper, as NExT-GPT's output projectors (`model/layers.py`)."""


class DrawingMapper(nn.Module):
    """A planner and GLIGEN, both frozen, and the mapper between them: returns losses of conversations that draw."""

    def __init__(self, planner: VitronPlanner, parts: GligenParts, lr: float = RATE) -> None:
        """Begin with a closed gate: at first nothing that GLIGEN draws changes.

        Args:
            planner: As `full_size.load_full_size` gives it.
            parts: GLIGEN's, of generation; a mapper among them is not used.
            lr: Greatest learning rate.
        """
        super().__init__()
        self.lr = lr
        self.model, self.processor = planner.model.requires_grad_(False).eval(), planner.processor
        self.parts = replace(parts, mapper=None)
        self.frozen = nn.ModuleList([parts.vae, parts.unet, parts.text_encoder])  # so that all move together
        encoder = parts.text_encoder.config
        context = int(encoder.max_position_embeddings)
        self.mapper = SignalMapper(planner.model.d_llm, int(encoder.hidden_size), context, WIDTH)
        self.noises = DDPMScheduler.from_config(parts.schedule)

    def forward(self, turns: Sequence[Turn], target: Tensor) -> Tensor:
        """The denoising loss of what one conversation should have drawn; noise is the global generator's.

        Args:
            turns: With one drawing call among them.
            target: uint8 (3, H, W), scaled to GLIGEN's square: boxes stay where they are.
        """
        calls = [call for turn in turns if isinstance(turn, AssistantTurn) for call in turn.invocations]
        (place,) = (place for place, call in enumerate(calls) if call.module is Module.A)
        with torch.no_grad():
            signals = self._signals(turns, place)
            latents = self._latents(target)
        condition = self._told(calls[place], signals)
        noise = torch.randn(latents.shape).to(latents)
        times = torch.randint(0, self.noises.config.num_train_timesteps, (1,)).to(latents.device)
        noisy = self.noises.add_noise(latents, noise, times)
        by_velocity = self.noises.config.prediction_type == "v_prediction"
        wanted = self.noises.get_velocity(latents, noise, times) if by_velocity else noise
        weight = torch.ones_like(latents[:, :1])
        return diffusion_loss(self.parts.unet, noisy, None, times, condition, wanted, weight)

    def _signals(self, turns: Sequence[Turn], place: int) -> Tensor:
        """What the planner's special tokens felt like in one of the calls, (1, n, d_llm)."""
        read = read_conversation(self.model, self.processor, turns)
        (runs,) = signal_runs(read.ids[None], read.states[None], self.processor.vocabulary)
        return runs[place][None].float()

    def _latents(self, target: Tensor) -> Tensor:
        """Latents (1, c, h, w) of a picture."""
        side = self.parts.picture_size
        square = F.interpolate(target[None].float() / 255, size=(side, side), mode="bilinear", antialias=True)
        return encode_pictures(self.parts.vae, square).to(self.parts.unet.device, self.parts.unet.dtype)

    def _told(self, call: Invocation, signals: Tensor) -> Condition:
        """What GLIGEN is told when it runs: words and boxes, and what the mapper makes of signals."""
        words = make_condition(self.parts, call.command, call.layout, None)
        return replace(words, text=words.text + self.mapper(signals).to(words.text.dtype))

    def learned(self) -> nn.ParameterList:
        """What this stage changes."""
        return nn.ParameterList(self.mapper.parameters())

    def optimiser(self) -> torch.optim.AdamW:
        """AdamW over the mapper."""
        return torch.optim.AdamW(self.mapper.parameters(), self.lr, weight_decay=0.01)

    def export(self, folder: Path) -> None:
        """Write gligen.safetensors, in half precision."""
        save_file(half_precision(self.mapper.state_dict()), folder / "gligen.safetensors")
