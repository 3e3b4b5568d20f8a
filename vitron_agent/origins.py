"""Where on the Hugging Face hub each part of `vitron-7b` is published, and at which commit its layout is known.

Names and patterns only; hub.py fetches them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Where a part, or a piece of it, is published.

    Attributes:
        repository: on the hub.
        revision: the commit that is known to have this layout; None where none is known, for the newest.
        wanted: patterns of file names; of weights in several forms one is taken.
        folder: below the profile's folder.
    """

    repository: str
    revision: str | None
    wanted: tuple[str, ...]
    folder: str


_DIFFUSION = ("unet/*", "vae/*", "text_encoder/*", "tokenizer/*", "scheduler/*")
_CONTROLNET = ("config.json", "diffusion_pytorch_model.*")
_CLIP_WORDS = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")

SOURCES: dict[str, tuple[Source, ...]] = {
    "planner": (
        Source(
            "llava-hf/llava-1.5-7b-hf",
            "b234b804b114d9e37bb655e11cbbb5f5e971b7a9",
            ("*.safetensors", "*.json"),
            "planner",
        ),
    ),
    "gligen": (
        Source(
            "masterful/gligen-1-4-generation-text-box",
            "d2820dc1e9ba6ca082051ce79cfd3eb468ae2c83",
            _DIFFUSION,
            "gligen",
        ),
    ),
    # the rest of it is the generation's, and is found there
    "gligen_inpaint": (Source("masterful/gligen-1-4-inpainting-text-box", None, ("unet/*",), "gligen_inpaint"),),
    "seem": (
        Source("xdecoder/SEEM", None, ("seem_focall_v1.pt",), "seem"),
        Source(
            "openai/clip-vit-base-patch32",
            "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268",
            _CLIP_WORDS,
            "seem/tokenizer",
        ),
    ),
    "zeroscope": (
        Source("cerspense/zeroscope_v2_576w", "6963642a64dbefa93663d1ecebb4ceda2d9ecb28", _DIFFUSION, "zeroscope"),
    ),
    "i2vgen_xl": (
        Source(
            "ali-vilab/i2vgen-xl",
            "39e1979ea27be737b0278c06755e321f2b4360d5",
            (*_DIFFUSION, "image_encoder/*"),
            "i2vgen_xl",
        ),
    ),
    "controlnet": (
        Source(
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
            _DIFFUSION,
            "controlnet",
        ),
        Source(
            "lllyasviel/sd-controlnet-canny",
            "7f2f69197050967007f6bbd23ab5e52f0384162a",
            _CONTROLNET,
            "controlnet/canny",
        ),
        Source(
            "lllyasviel/sd-controlnet-depth",
            "35e42a3ea49845b3c76f202f145f257b9fb1b7d4",
            _CONTROLNET,
            "controlnet/depth",
        ),
        Source(
            "Intel/dpt-hybrid-midas",
            None,
            ("config.json", "model.safetensors", "pytorch_model.bin"),
            "controlnet/midas",
        ),
    ),
}
"""Of each part of `vitron-7b`."""

_WEIGHTS = ("*.json", "*.safetensors", "*.bin", "tokenizer.model")

ALONE: dict[str, tuple[str, ...]] = {"planner": _WEIGHTS, "gligen_inpaint": _DIFFUSION}
"""What is taken of a part's first repository where users name another, which may be laid out as any start, or has no
part beside it: the rest as above."""

_CLIP = ("config.json", "model.safetensors", "pytorch_model.bin")

STARTS: dict[str, tuple[Source, ...]] = {
    "llava": SOURCES["planner"],
    "llava-original": (
        Source("liuhaotian/llava-v1.5-7b", None, _WEIGHTS, "planner"),
        Source("openai/clip-vit-large-patch14-336", None, _CLIP, "planner/clip"),
    ),
    "vicuna": (
        Source("lmsys/vicuna-7b-v1.5", None, _WEIGHTS, "planner/vicuna"),
        Source("openai/clip-vit-large-patch14-336", None, _CLIP, "planner/clip"),
    ),
    "vitron": (
        Source("Vitron/vitron-base", None, _WEIGHTS, "planner/vitron-base"),
        # by themselves: of the adapter one form is enough, and of what was trained beside it there is a pickle only
        Source("Vitron/vitron-lora", None, ("adapter_config.json", "adapter_model.*"), "planner/vitron-lora"),
        Source("Vitron/vitron-lora", None, ("non_lora_trainables.bin",), "planner/vitron-lora"),
    ),
}
"""What a planner is made of, each as planner/starts.py or planner/full_size.py reads it."""
