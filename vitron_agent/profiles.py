"""Profiles: which weights every part is built from. Data only; nothing is read or checked here but names of files.

`tiny` is packaged with the library. `vitron-7b` is made of public weights, which users bring: a folder that holds one
folder for each part, as published. How a part is made of its folder stands in build.py, where folders are looked for in
locations.py.
"""

from importlib.resources import files
from pathlib import Path

from vitron_agent.errors import InputError
from vitron_agent.parts import Part, Profile, Sampling

DEFAULT_PROFILE = "tiny"
_RAIL = "CreativeML Open RAIL-M"
_LLAMA = "Llama 2 Community License"
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
            (
                *_text_to_pixels("i2vgen_xl"),
                *_below("i2vgen_xl/image_encoder", *_MODEL),
                *_below("mappers", "i2vgen_xl.safetensors"),
            ),
            _OURS,
            9,
            "Apache-2.0",
        ),
    ),
)


_DIFFUSERS = "diffusion_pytorch_model"  # what diffusers calls any model's weights


def _weights(folder: str, name: str) -> tuple[str, str]:
    """Files of a published model: its weights may be in shards, in half precision alone, or a pickle of tensors."""
    pickled = "pytorch_model" if name == "model" else name
    forms = ("safetensors", "safetensors.index.json", "fp16.safetensors")
    either = [*(f"{folder}/{name}.{form}" for form in forms), f"{folder}/{pickled}.bin"]
    return f"{folder}/config.json", "|".join(either)


def _published(folder: str, common: str) -> tuple[str, ...]:
    """Files of a published latent diffusion model; what is not its UNet may be another's, in `common`."""

    def either(names: tuple[str, ...]) -> tuple[str, ...]:
        if common == folder:
            return names
        return tuple(f"{name}|{name.replace(f'{folder}/', f'{common}/')}" for name in names)

    vocabulary = (f"{folder}/tokenizer/tokenizer.json|{folder}/tokenizer/vocab.json",)
    return (
        *_weights(f"{folder}/unet", _DIFFUSERS),
        *either(_weights(f"{folder}/vae", _DIFFUSERS)),
        *either(_weights(f"{folder}/text_encoder", "model")),
        *either((*vocabulary, f"{folder}/scheduler/scheduler_config.json")),
    )


def _planner() -> tuple[str, ...]:
    """Files of LLaVA's folder, or of the folders of parts that planner/starts.py puts together."""
    whole, parts = "planner", ("planner/vicuna", "planner/vitron-base")
    pickles = [f"{folder}/pytorch_model.bin" for folder in (whole, *parts)]  # of the first, LLaVA's own layout
    tensors = [f"{folder}/model.safetensors" for folder in (whole, *parts)]
    words = [f"{folder}/tokenizer.json" for folder in (whole, *parts)]
    beside = ("planner/clip/config.json", "planner/vitron-lora/adapter_config.json")
    return (
        "|".join(f"{folder}/config.json" for folder in (whole, *parts)),
        "|".join((f"{whole}/config.json", *beside)),
        "|".join(name for file in (*tensors, *pickles) for name in (file, f"{file}.index.json")),
        "|".join((*words, *(f"{folder}/tokenizer.model" for folder in (whole, *parts)))),
    )


_SEEM = (
    "seem/seem_focall_v1.pt|seem/seem_focall_v0.pt|seem/model.safetensors",
    "seem/tokenizer/tokenizer.json|seem/tokenizer/vocab.json",
)

# tests/test_full_size.py counts the parameters, and adds up on the meta device what lives at once besides them, at the
# published sizes in half precision: the planner at 4,096 tokens with its cache, while as many are kept of what was read
# before (and a place for as many more where its step is compiled); 8 frames in the tower; one denoising step with
# guidance, or the decoding of a picture or of 8 frames, whichever takes more. Kernels' workspace is not. The frugal way
# of clips is one row of guidance after the other, and one frame; pictures have none: torch's attention holds no matrix
# that could be sliced (slicing takes more: 337 MiB in GLIGEN's UNet for 141), and one picture decodes whole.
VITRON_7B = Profile(
    name="vitron-7b",
    summary="full size: LLaVA-1.5-7B (CLIP ViT-L/14@336, Vicuna-7B v1.5), GLIGEN, SEEM focal-L; you bring the weights",
    folder=None,
    parts=(
        Part(
            "planner",
            "converses and plans",
            _planner(),
            "llava-hf/llava-1.5-7b-hf",
            13_472,
            _LLAMA,
            2_436,
            quantisable=12_352,
            kept=2_048,
            kept_compiled=2_048,
        ),
        Part(
            "gligen",
            "draws",
            _published("gligen", "gligen"),
            "masterful/gligen-1-4-generation-text-box",
            2_433,
            _RAIL,
            384,
            Sampling(
                50,
                7.5,
                "StableDiffusionGLIGENPipeline of diffusers; VITRON's release has the same",
                scheduler="PNDMScheduler",
                grounded=0.3,
            ),
        ),
        Part(
            "gligen_inpaint",
            "edits",
            _published("gligen_inpaint", "gligen"),
            "masterful/gligen-1-4-inpainting-text-box",
            2_433,
            _RAIL,
            384,
            # VITRON's release has guidance 30, with a caption on both sides, so that it acts on the boxes alone
            Sampling(
                50,
                7.5,
                "StableDiffusionGLIGENPipeline of diffusers; boxes to the end are VITRON's release's",
                scheduler="PNDMScheduler",
            ),
        ),
        Part("seem", "finds", _SEEM, "SEEM focal-L (seem_focall_v1.pt)", 651, "Apache-2.0", 144),
    ),
    picture_size=512,
    extras=(
        Part(
            "zeroscope",
            "makes videos",
            _published("zeroscope", "zeroscope"),
            "cerspense/zeroscope_v2_576w",
            3_500,
            "CC-BY-NC 4.0",
            2_793,
            Sampling(
                50,
                7.5,
                "VITRON's release; the sizes are the model card's",
                24,
                320,
                576,
                "DPMSolverMultistepScheduler",
            ),
            frugal_work=1_397,
        ),
        Part(
            "i2vgen_xl",
            "animates",
            (*_published("i2vgen_xl", "i2vgen_xl"), *_weights("i2vgen_xl/image_encoder", "model")),
            "ali-vilab/i2vgen-xl",
            4_748,
            "MIT",
            10_562,
            Sampling(
                50, 9.0, "the model card's example; VITRON's release has the same", 16, 704, 1280, "DDIMScheduler"
            ),
            frugal_work=4_548,
        ),
        Part(
            "controlnet",
            "edits videos' keyframes and backgrounds",
            (
                *_published("controlnet", "controlnet"),
                *(file for net in ("canny", "depth") for file in _weights(f"controlnet/{net}", _DIFFUSERS)),
                *_weights("controlnet/midas", "model"),
            ),
            "stable-diffusion-v1-5/stable-diffusion-v1-5, lllyasviel/sd-controlnet-canny and -depth, "
            "Intel/dpt-hybrid-midas",
            3_645,
            f"{_RAIL} (the estimator of depth: Apache-2.0)",
            768,
            Sampling(
                20, 9.0, "StableVideo's release; pictures are 512 pixels on their short side", scheduler="DDIMScheduler"
            ),
        ),
    ),
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
