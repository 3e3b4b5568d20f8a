"""Profiles: which weights every part is built from. Data only; nothing is read or checked here but names of files.

`tiny` is packaged with the library. `vitron-7b` is described, so that everybody can see what it will need; loading it
comes later. How a part is made of its folder stands in build.py.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from vitron_agent.errors import InputError

DEFAULT_PROFILE = "tiny"


@dataclass(frozen=True)
class Part:
    """One set of weights.

    Attributes:
        name: what build.py calls it: planner, gligen, gligen_inpaint, seem, mappers, zeroscope, i2vgen_xl.
        role: what it does, in a few words.
        files: paths below the profile's folder that must be there; for parts that are only described, empty.
        source: public name of the weights.
        size: in half precision, MiB.
        licence: under which they may be used.
        work: what it needs besides while it runs, MiB; 0 where that is next to nothing.
    """

    name: str
    role: str
    files: tuple[str, ...]
    source: str
    size: float
    licence: str
    work: float = 0.0


@dataclass(frozen=True)
class Profile:
    """A whole system.

    Attributes:
        name: what users call it.
        summary: one line for people.
        folder: where the weights lie; None where this version cannot load the profile.
        parts: what it is made of.
        picture_size: side of the pictures it draws, in pixels.
        extras: what it works without; a tool that needs one is offered only where its weights are there.
    """

    name: str
    summary: str
    folder: Path | None
    parts: tuple[Part, ...]
    picture_size: int
    extras: tuple[Part, ...] = ()

    def part(self, name: str) -> Part:
        """Return the part of this name.

        Raises:
            KeyError: there is none.
        """
        return {part.name: part for part in (*self.parts, *self.extras)}[name]

    def missing(self, part: Part) -> list[str]:
        """Return the files of a part that are not there; a described part misses its weights as a whole."""
        if self.folder is None:
            return [part.source]
        return [name for name in part.files if not (self.folder / name).is_file()]


_RAIL = "CreativeML Open RAIL-M"
_OURS = "trained by this project's recipes"
_DIFFUSION = ("config.json", "diffusion_pytorch_model.safetensors")  # of a diffusers model
_MODEL = ("config.json", "model.safetensors")  # of a transformers model
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def _below(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


def _text_to_pixels(folder: str) -> tuple[str, ...]:
    """Files of a latent diffusion model that is told words; its autoencoder may be another's."""
    return (
        *_below(f"{folder}/unet", *_DIFFUSION),
        *_below(f"{folder}/text_encoder", *_MODEL),
        *_below(f"{folder}/tokenizer", *_TOKENIZER),
        f"{folder}/scheduler/scheduler_config.json",
    )


TINY = Profile(
    name="tiny",
    summary="VITRON in miniature: 64x64 pictures of coloured shapes; packaged, no download",
    folder=Path(str(files("vitron_agent"))) / "weights" / "tiny",
    parts=(
        Part(
            "planner",
            "understands the conversation and writes the calls (CLIP tower, projector, Llama)",
            _below("planner", *_MODEL, "extra.safetensors", *_TOKENIZER),
            _OURS,
            11,
            "Apache-2.0",
        ),
        Part(
            "gligen",
            "draws from words and boxes (latent diffusion with gated boxes)",
            (*_below("gligen/vae", *_DIFFUSION), *_text_to_pixels("gligen")),
            _OURS,
            13,
            "Apache-2.0",
        ),
        Part(
            "gligen_inpaint",
            "edits inside a mask",
            _below("gligen_inpaint/unet", *_DIFFUSION),
            _OURS,
            11,
            "Apache-2.0",
        ),
        Part(
            "seem",
            "finds what words or strokes point at",
            (*_below("seem", *_MODEL), *_below("seem/tokenizer", *_TOKENIZER)),
            _OURS,
            4,
            "Apache-2.0",
        ),
        Part(
            "mappers",
            "carry the planner's signals into the specialists",
            _below("mappers", "gligen.safetensors", "gligen_inpaint.safetensors", "seem.safetensors"),
            _OURS,
            4,
            "Apache-2.0",
        ),
    ),
    picture_size=64,
    extras=(
        Part(
            "zeroscope",
            "makes videos of words",
            _text_to_pixels("zeroscope"),
            _OURS,
            12,
            "Apache-2.0",
        ),
        Part(
            "i2vgen_xl",
            "sets pictures in motion",
            (*_text_to_pixels("i2vgen_xl"), *_below("i2vgen_xl/image_encoder", *_MODEL)),
            _OURS,
            13,
            "Apache-2.0",
        ),
    ),
)

# tests/test_full_size.py counts the parameters, and adds up on the meta device what lives at once besides them, at the
# published sizes in half precision: the planner at 4,096 tokens with its cache; 8 frames in the tower; one denoising
# step with guidance, or the decoding of a picture or of 8 frames, whichever takes more. Kernels' workspace is not.
VITRON_7B = Profile(
    name="vitron-7b",
    summary="full size: CLIP ViT-L/14@336, Vicuna-7B v1.5, GLIGEN, SEEM focal-L; not loadable in this version",
    folder=None,
    parts=(
        Part("planner", "language model", (), "lmsys/vicuna-7b-v1.5", 12_852, "Llama 2 Community License", 2_436),
        Part("vision", "vision tower", (), "openai/clip-vit-large-patch14-336", 579, "MIT", 348),
        Part("gligen", "draws", (), "masterful/gligen-1-4-generation-text-box", 2_433, _RAIL, 384),
        Part("gligen_inpaint", "edits", (), "masterful/gligen-1-4-inpainting-text-box", 2_433, _RAIL, 384),
        Part("seem", "finds", (), "SEEM focal-L (seem_focall_v1)", 651, "Apache-2.0", 144),
        Part("zeroscope", "makes videos", (), "cerspense/zeroscope_v2_576w", 3_500, "CC-BY-NC 4.0", 2_793),
        Part("i2vgen_xl", "animates", (), "ali-vilab/i2vgen-xl", 4_748, "MIT", 10_562),
    ),
    picture_size=512,
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (TINY, VITRON_7B)}


def find_profile(name: str) -> Profile:
    """Return the profile of this name.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    if name not in PROFILES:
        raise InputError(f"profile {name[:60]!r} is unknown: choose one of {', '.join(PROFILES)}")
    return PROFILES[name]
