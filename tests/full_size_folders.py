"""All parts of `vitron-7b` in their public layouts, at toy size and with random weights: built in about a second."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AddedToken, LlamaTokenizer, LlavaForConditionalGeneration

from tests.specialists.control_parts_on_disk import write_random_controlnet
from tests.specialists.gligen_parts_on_disk import write_random_gligen
from tests.specialists.video_parts_on_disk import write_random_i2vgen, write_random_zeroscope
from vitron_agent.parts import Part, Profile, Sampling
from vitron_agent.planner.published import llava_config
from vitron_agent.planner.tokenizer import train_tokenizer
from vitron_agent.profiles import VITRON_7B
from vitron_agent.specialists.seem import Seem, SeemConfig
from vitron_agent.training.bpe import clip_tokenizer

WORDS = ["a red circle", "USER: what is in the picture? ASSISTANT: segmentation generation foreground background video"]
PADDED = 64  # rows of the published head beyond the words, at toy size


def toy_profile() -> Profile:
    """`vitron-7b` that samples two steps of small clips; everything else as it is."""

    def small(part: Part) -> Part:
        if part.sampling is None:
            return part
        clip = {"frames": 3, "height": 32, "width": 48} if part.sampling.frames else {}
        return replace(part, sampling=Sampling(2, 2.0, "a test", **clip))

    parts = tuple(map(small, VITRON_7B.parts))
    return replace(VITRON_7B, parts=parts, extras=tuple(map(small, VITRON_7B.extras)))


@cache
def _learned() -> str:
    return train_tokenizer(WORDS * 20, 700).backend_tokenizer.to_str()


def toy_tokenizer() -> LlamaTokenizer:
    """A Llama tokenizer of some hundred pieces; like the published one it knows no tags."""
    learned = json.loads(_learned())["model"]
    return LlamaTokenizer(vocab=learned["vocab"], merges=[tuple(pair) for pair in learned["merges"]])


def toy_llava(rows: int, image_token: int) -> LlavaForConditionalGeneration:
    """LLaVA-1.5's configuration, made narrow."""
    config = llava_config(rows)
    config.text_config.update(
        {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 4}
    )  # fmt: skip
    config.vision_config.update(
        {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
         "image_size": 28, "patch_size": 7}
    )  # fmt: skip
    config.image_token_index = image_token
    torch.manual_seed(0)
    return LlavaForConditionalGeneration(config).eval()


def write_llava(folder: Path) -> LlavaForConditionalGeneration:
    """Write a folder like llava-hf/llava-1.5-7b-hf: two shards, the old names, `<image>` and `<pad>`, padded rows."""
    tokenizer = toy_tokenizer()
    tokenizer.add_tokens([AddedToken(name, special=True) for name in ("<image>", "<pad>")], special_tokens=True)
    llava = toy_llava(len(tokenizer) + PADDED, tokenizer.convert_tokens_to_ids("<image>"))
    llava.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "legacy": True, "add_bos_token": True}))
    whole = folder / "model.safetensors"
    tensors = {key.replace("vision_tower.", "vision_tower.vision_model."): v for key, v in load_file(whole).items()}
    whole.unlink()
    names = sorted(tensors)
    shards = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, own in shards.items():
        save_file({name: tensors[name] for name in own}, folder / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, own in shards.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return llava


def write_seem(folder: Path) -> None:
    """Write a folder with `seem_focall_v1.pt`; its sizes are said beside it, for they are not the published ones."""
    folder.mkdir(parents=True)
    tokenizer = clip_tokenizer(["the red circle", "the blue square"], merges=40, context=20)
    config = SeemConfig(
        embed_dim=8, depths=(1, 1, 1, 1), hidden_dim=32, heads=2, feedforward_dim=32, encoder_layers=1,
        decoder_layers=3, queries=6, memories=2, text_width=32, text_heads=2, text_layers=1, context_length=20,
        vocab_size=len(tokenizer), max_points=16, short_side=64, layerscale=0.5,
    )  # fmt: skip
    torch.manual_seed(7)
    weights = {**Seem(config).state_dict(), "dilation_kernel": torch.ones(1, 1, 3, 3)}
    torch.save(weights, folder / "seem_focall_v1.pt")
    config.save(folder / "config.json")
    tokenizer.save_pretrained(folder / "tokenizer")


def only_a_pickle(folder: Path) -> None:
    """Turn every safetensors file below a folder into the pickle that older repositories have instead."""
    for path in list(folder.rglob("*.safetensors")):
        name = "pytorch_model.bin" if path.stem == "model" else f"{path.stem}.bin"
        torch.save(load_file(path), path.with_name(name))
        path.unlink()


def write_full_size(root: Path) -> Path:
    """Write the folder of a profile: one folder for each part, each as published."""
    write_llava(root / "planner")
    write_random_gligen(root)
    write_seem(root / "seem")
    only_a_pickle(write_random_zeroscope(root / "zeroscope"))
    write_random_i2vgen(root / "i2vgen_xl")
    only_a_pickle(write_random_controlnet(root / "controlnet") / "midas")
    return root
