"""Recipe `planner`: trains the whole planner on conversations of the small world (stages 1.2 and 2 in miniature).

The tower comes trained from recipe `planner_vision`; everything learns together here, the tower slowly. Matrices of the
language model's blocks use Muon, the rest AdamW; warm-up, then linear to zero. Knows batches and optimisers; what is
said is `planner_data`'s business.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import LlamaTokenizer

from vitron_agent.errors import CheckpointError
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.planner.tiny import tiny_planner_config
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.training.attention import use_plain_attention
from vitron_agent.training.board import Board
from vitron_agent.training.guard import check_finite, fitting, log_or_say, write_or_say
from vitron_agent.training.loop import Ema, TrainingConfig, config_from_arguments
from vitron_agent.training.peers import Peers
from vitron_agent.training.planner_batch import Batch, embed
from vitron_agent.training.planner_data import Batches, make_tokenizer
from vitron_agent.training.planner_files import averaged, export, load_checkpoint, load_exported, save_checkpoint
from vitron_agent.training.planner_like import ExampleLessons
from vitron_agent.training.planner_match import put_matching_head
from vitron_agent.training.planner_probe import probe
from vitron_agent.training.planner_rates import make_optimizers, rate_factor
from vitron_agent.training.precision import autocast

ALIGNMENT = 0.05
"""Weight of `alignment_loss`."""
DEFAULTS = {
    "muon_lr": 3e-3,  # of the blocks' matrices, RMS-matched to AdamW
    "lr": 2e-3,  # of embeddings, projector, region encoder, norms
    "tower_lr": 1e-4,  # of the vision tower, which comes trained; 0 freezes it
    "tokens": 3000,  # ids per batch, padding included
    "decay": 1.0,  # share of the run in which the rate goes to zero; held constant for most of it, it learned less
    "corpus": 4000,  # conversations that the tokenizer is learned from
    "compile": 1,  # torch.compile of the Llama layers (needs a C++ compiler); 0 does without, a fifth slower
    "regions": 32,  # regions per batch whose tokens must tell shade and size, see planner_like.py; 0 leaves them out
    "like": 8,  # requests by example per batch, see planner_like.py; 0 leaves them out
    "early": 0.5,  # share of the run in which conversations are short: few of many turns, most cut at their call
    "match": 1,  # 1: new planners begin with a head that finds by shape (see planner_match); 2: warm ones, too
    "warm": 0,  # 1 starts from the weights in the export folder instead of new ones
    "probe_count": 10,  # held-out conversations per task in such a measurement
    "probe_minutes": 10,  # between two measurements on held-out conversations
}
"""The recipe's own settings (`--set NAME=NUMBER`)."""


def batch_loss(model: PlannerModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the learned ids, and of the words of picture and frame tokens.

    Args:
        model: The planner.
        batch: Ids with features' sources.

    Returns:
        The loss, and the logits (N, V) at the N learned places.
    """
    pictures = model.encode_pictures(batch.pictures) if len(batch.pictures) else None
    videos = model.encode_videos(batch.videos) if len(batch.videos) else None
    states = model.hidden(embed(model, batch, pictures, videos))
    places = batch.weights[:, 1:] > 0
    logits = model.logits(states[:, :-1][places]).float()
    losses = F.cross_entropy(logits, batch.ids[:, 1:][places], reduction="none")
    weights = batch.weights[:, 1:][places]
    loss = (losses * weights).sum() / weights.sum()
    if pictures is not None:
        loss = loss + ALIGNMENT * alignment_loss(model, pictures.tokens, batch.cells)
    if videos is not None:
        frames = videos.tokens[:, model.image_tokens :].reshape(-1, model.image_tokens, model.d_llm)
        loss = loss + ALIGNMENT * alignment_loss(model, frames, batch.frame_cells)
    return loss, logits


def alignment_loss(model: PlannerModel, tokens: Tensor, words: Tensor) -> Tensor:
    """How badly picture tokens name what they hold (LLaVA's first stage, token by token).

    A token's own direction among the words is what attention finds it by. Without this a token that shows an object's
    edge looked like some shape, too, and nothing could be found by its shape.

    Args:
        model: Its word embeddings, tied to the head, are what tokens are compared with.
        tokens: (M, n, d_llm).
        words: (M, n, k) int64, see `cell_words` and `moving_words`.
    """
    logits = model.logits(F.rms_norm(tokens, tokens.shape[-1:])).float()
    return -logits.log_softmax(-1).gather(-1, words).mean()


def start(config: TrainingConfig) -> tuple[PlannerModel, Vocabulary]:
    """The model and vocabulary that training begins with: new ones (with the trained tower), or the run's.

    Raises:
        CheckpointError: `warm` is set, and the weights in `config.out` are missing, damaged or of another architecture.
    """
    folder = config.out if config.option("warm", DEFAULTS["warm"]) else config.run / "tokenizer"
    if not (folder / "tokenizer.json").is_file():
        make_tokenizer(config.seed, int(config.option("corpus", DEFAULTS["corpus"]))).save_pretrained(folder)
    vocabulary = Vocabulary(LlamaTokenizer.from_pretrained(folder), per_module=4, shared=4)
    torch.manual_seed(config.seed)
    llava = tiny_planner_config(len(vocabulary.tokenizer), vocabulary.tags["<image>"], vocabulary.tags["<pad>"])
    model = PlannerModel.new(llava)
    tower = config.run.parent / "planner_vision" / "tower.safetensors"
    if config.option("warm", DEFAULTS["warm"]):
        warm = load_exported(config.out)
        missing, unexpected = model.load_state_dict(warm, strict=False)
        if unexpected or any(not key.startswith(("adapter.", "motion.", "details.")) for key in missing):
            raise CheckpointError(f"{config.out} holds another architecture; train without `--set warm=1`")
    elif tower.is_file():
        model.tower.load_state_dict(load_file(tower))
    if config.option("match", DEFAULTS["match"]) > config.option("warm", DEFAULTS["warm"]):
        put_matching_head(model, vocabulary)
    return model, vocabulary


class Trainer:
    """One run: model, optimisers, clock and files."""

    def __init__(self, config: TrainingConfig, peers: Peers) -> None:
        """Build everything, and go on from the checkpoint where `config.resume` asks for it."""
        torch.set_num_threads(config.threads)
        self.config = config
        self.peers = peers
        config.run.mkdir(parents=True, exist_ok=True)
        self.board = Board(config.run, self.log)
        self.model, self.vocabulary = start(config)
        self.model.to(config.device)
        use_plain_attention(self.model.language_model)
        if config.option("compile", DEFAULTS["compile"]):
            for layer in self.model.language_model.layers:
                layer.compile(dynamic=True)
        self.model.tower.set_attn_implementation("eager")
        self.model.tower.requires_grad_(config.option("tower_lr", DEFAULTS["tower_lr"]) > 0)
        self.ema = Ema(self.model, 0.998)
        self.processor = Processor(
            self.vocabulary,
            self.model.image_tokens,
            folds_case=self.model.folds_case,
            video_tokens=self.model.video_tokens,
        )
        counts = (int(config.option(name, DEFAULTS[name])) for name in ("regions", "like"))
        self.examples = ExampleLessons(self.processor, self.model.d_llm, *counts).to(config.device)
        rates = {name: config.option(name, DEFAULTS[name]) for name in ("muon_lr", "lr", "tower_lr")}
        self.optimisers = make_optimizers(self.model, rates, self.examples.parameters())
        self.base = [[group["lr"] for group in optimiser.param_groups] for optimiser in self.optimisers]
        self.counters: dict[str, float] = {"step": 0, "conversations": 0, "tokens": 0, "seconds": 0, "updates": 0}
        self.path = config.run / "checkpoint.safetensors"
        if config.resume and self.path.is_file():
            with fitting(self.path):
                self.counters = load_checkpoint(self.path, self.model, self.ema)
        self.first_step = self.counters["step"]
        seed = (config.seed * 1_000_003 + int(self.counters["step"])) * self.peers.count + self.peers.rank
        self.batches = Batches(self.processor, random.Random(seed), int(config.option("tokens", DEFAULTS["tokens"])))
        self.examples.rng.seed(seed)
        self.begin = time.monotonic() - self.counters["seconds"]
        self.loss: float | None = None
        self.mark = {"seconds": time.monotonic(), **{key: self.counters[key] for key in ("conversations", "tokens")}}

    @property
    def fraction(self) -> float:
        """Share of the planned run that is done, 0 to 1."""
        if self.config.steps is not None:
            return self.counters["step"] / self.config.steps
        return (time.monotonic() - self.begin) / (self.config.minutes * 60)

    def step(self) -> None:
        """One batch.

        Raises:
            CheckpointError: The loss or its gradient is NaN or infinite; weights stay as they were.
        """
        decay = self.config.option("decay", DEFAULTS["decay"])
        factor = rate_factor(self.fraction, int(self.counters["step"] - self.first_step), decay)
        for optimiser, rates in zip(self.optimisers, self.base, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        self.batches.early = self.fraction < self.config.option("early", DEFAULTS["early"])
        batch = self.batches.next().to(self.config.device)
        with autocast(self.config.device):
            loss, _ = batch_loss(self.model, batch)
        value = float(loss.detach())
        step = int(self.counters["step"])
        check_finite(value, step, self.path)
        loss.backward()
        for lesson in self.examples.losses(self.model):
            check_finite(float(lesson.detach()), step, self.path, "loss of examples")
            lesson.backward()
        self.peers.average([*self.model.parameters(), *self.examples.parameters()])
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        check_finite(float(norm), step, self.path, "gradient")
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.ema.update()
        self.loss = value if self.loss is None else self.loss * 0.97 + value * 0.03
        self.counters["step"] += 1
        self.counters["conversations"] += len(batch.ids) * self.peers.count
        self.counters["tokens"] += batch.ids.numel() * self.peers.count
        self.counters["seconds"] = time.monotonic() - self.begin
        self.counters["updates"] = self.ema.updates

    def log(self, line: str) -> None:
        """Print a line and append it to the run's log.

        Raises:
            StorageError: The log cannot be written.
        """
        stamped = f"{time.strftime('%H:%M:%S')} {line}"
        print(stamped, flush=True)
        log_or_say(self.config.run / "log.txt", stamped, int(self.counters["step"]), self.path)

    def report(self) -> None:
        """Measure the averaged weights on held-out conversations, export and save them."""
        model = averaged(self.model, self.ema)
        self.log(probe(model, self.processor, int(self.config.option("probe_count", DEFAULTS["probe_count"]))))
        self.written(self.config.out, lambda: export(model, self.vocabulary, self.config.out))
        self.save()

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            StorageError: It cannot be written; the last one stays as it was.
        """
        self.written(self.path, lambda: save_checkpoint(self.path, self.model, self.ema, self.counters))

    def written(self, path: Path, write: Callable[[], None]) -> None:
        """Let `write` write weights to a path, see `write_or_say`."""
        write_or_say(path, write, int(self.counters["step"]), self.path)

    def run(self) -> None:
        """Train to the end of the planned time."""
        probe_seconds = self.config.option("probe_minutes", DEFAULTS["probe_minutes"]) * 60
        probed = saved = time.monotonic()
        while self.peers.agree(self.fraction, self.config.device) < 1:
            self.step()
            if self.peers.rank:
                continue
            now = time.monotonic()
            if self.counters["step"] % 100 == 0:
                self.log_pace()
            if now > saved + self.config.export_minutes * 60:
                self.save()
                saved = now
            if now > probed + probe_seconds:
                self.report()
                probed = time.monotonic()
        if not self.peers.rank:
            self.report()

    def log_pace(self) -> None:
        """Log loss, speed since the last time, and how long it will take."""
        now = {"seconds": time.monotonic(), **{key: self.counters[key] for key in ("conversations", "tokens")}}
        passed = {key: value - self.mark[key] for key, value in now.items()}
        self.mark = now
        left = self.counters["seconds"] * (1 - self.fraction) / max(self.fraction, 1e-6)
        step, loss = int(self.counters["step"]), self.loss or 0.0
        paces = {f"{key}_per_second": passed[key] / passed["seconds"] for key in ("conversations", "tokens")}
        self.written(self.board.folder, lambda: self.board.add(step, {"loss": loss, **paces}))
        self.log(
            f"{self.fraction:4.0%} step {step} loss {loss:.4f} {paces['conversations_per_second']:.1f} conversations/s "
            f"{paces['tokens_per_second']:.0f} tokens/s {self.examples} "
            f"ETA {left / 60:.0f} min"
        )


def train(config: TrainingConfig) -> None:
    """Run the recipe; the trained planner is exported to `config.out`."""
    with Peers() as peers:
        Trainer(config, peers).run()


def main() -> None:
    """Run the recipe from the command line."""
    train(config_from_arguments("planner", Path("vitron_agent/weights/tiny/planner")))


if __name__ == "__main__":
    main()
