"""Judges GLIGEN while it trains: draws held-out layouts, reads the pictures back, counts what is right, keeps a sheet.

Knows the specialists' sampling loop and the small world's checker; knows nothing about optimisation.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from vitron_agent.shapes.captions import caption, phrase_of
from vitron_agent.shapes.check import Wanted, check_generation
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import sample_scene
from vitron_agent.specialists.captions import encode_captions
from vitron_agent.specialists.gligen.conditioning import Condition
from vitron_agent.specialists.gligen.editor import masked_latents
from vitron_agent.specialists.gligen.sampling import sample_latents
from vitron_agent.training.gligen_data import Prompt, encode_pictures, encode_prompts
from vitron_agent.training.gligen_edits import edit_prompt, hole_mask, sample_edit
from vitron_agent.training.gligen_parts import build_schedule, scene_generator


def contact_sheet(rows: Sequence[Tensor], path: Path, columns: int = 16) -> None:
    """Write pictures to a PNG, each list of (B, 3, S, S) in [0, 1] as lines of `columns`, the lists interleaved."""
    lines = []
    for start in range(0, len(rows[0]), columns):
        for row in rows:
            lines.append(torch.cat(list(row[start : start + columns]), 2))
    width = max(line.shape[2] for line in lines)
    sheet = torch.cat([torch.nn.functional.pad(line, (0, width - line.shape[2])) for line in lines], 1)
    Image.fromarray((sheet.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()).save(path)


@torch.no_grad()
def decode_latents(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Return pictures (B, 3, S, S) in [0, 1] of scaled latents."""
    pictures: Tensor = vae.decode(latents / vae.config.scaling_factor).sample
    return (pictures / 2 + 0.5).clamp(0, 1)


@torch.no_grad()
def judge_generation(
    unet: UNet2DConditionModel,
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    vae: AutoencoderKL,
    sheet: Path,
    count: int = 64,
    steps: int = 2,
    guidance: float = 1.0,
) -> str:
    """Draw `count` held-out layouts and return one line of shares; the sheet shows wanted above drawn."""
    rng = scene_generator("gligen", "held-out")
    scenes = [sample_scene(rng) for _ in range(count)]
    prompts = [
        Prompt(caption(scene, rng), tuple((phrase_of(obj, rng), obj.box) for obj in scene.objects)) for scene in scenes
    ]
    condition = encode_prompts(encoder, tokenizer, prompts)
    empty = Condition(
        encode_captions(encoder, tokenizer, [""]).expand(count, -1, -1),
        condition.boxes,
        condition.phrases,
        0 * condition.masks,
    )
    noise = torch.randn(count, unet.config.out_channels, 16, 16, generator=torch.Generator().manual_seed(1))
    noise = noise.to(condition.text.device)
    latents = sample_latents(unet, dict(build_schedule().config), noise, condition, steps, guidance, empty)
    pictures = decode_latents(vae, latents).cpu()
    contact_sheet([render(scenes).images, pictures], sheet)
    checks = [check_generation(picture, scene) for picture, scene in zip(pictures, scenes, strict=True)]
    shares = {
        name: sum(getattr(check, name) for check in checks) / count
        for name in (
            "background_ok",
            "count_ok",
            "objects_ok",
            "shapes_ok",
            "colours_ok",
            "sizes_ok",
            "places_ok",
            "all_ok",
        )
    }
    return f"judged n={count} steps={steps} guidance={guidance}: " + " ".join(f"{k} {v:.3f}" for k, v in shares.items())


@torch.no_grad()
def judge_edits(
    unet: UNet2DConditionModel,
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    vae: AutoencoderKL,
    sheet: Path,
    count: int = 64,
    steps: int = 2,
) -> str:
    """Run `count` held-out edits, pasted as the editor does, and return a line of shares; sheet: before, after."""
    rng = scene_generator("inpaint", "held-out")
    edits = [sample_edit(rng) for _ in range(count)]
    before = render([edit.before for edit in edits])
    holes = torch.stack([hole_mask(edit, masks, rng) for edit, masks in zip(edits, before.masks, strict=True)])
    condition = encode_prompts(encoder, tokenizer, [edit_prompt(edit, rng) for edit in edits])
    device = condition.text.device
    extra = masked_latents(encode_pictures(vae, before.images), holes).to(device)
    noise = torch.randn(count, unet.config.out_channels, 16, 16, generator=torch.Generator().manual_seed(1)).to(device)
    latents = sample_latents(unet, dict(build_schedule().config), noise, condition, steps, extra=extra)
    after = torch.where(holes, decode_latents(vae, latents).cpu(), before.images)
    contact_sheet([before.images, after], sheet)
    done: dict[str, list[bool]] = {}
    for edit, picture in zip(edits, after, strict=True):
        wanted = replace(edit.before, background=edit.after.background) if edit.holes is None else edit.after
        ok = check_generation(picture, Wanted.of(wanted, sizes=False)).all_ok
        done.setdefault(edit.words.split()[0], []).append(ok)
    parts = ", ".join(f"{kind} {sum(oks)}/{len(oks)}" for kind, oks in sorted(done.items()))
    return f"judged n={count} steps={steps}: done {sum(map(sum, done.values())) / count:.3f} ({parts})"
