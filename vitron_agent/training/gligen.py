"""Trains GLIGEN's text encoder and gated UNet on the small world, drawing and editing together.

Needs the trained autoencoder. Exports the generation UNet with text encoder, tokenizer and scheduler, and the
inpainting UNet beside them. Knows nothing about how requests are worded or masks are found.
"""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from vitron_agent.training.gligen_data import encode_prompts
from vitron_agent.training.gligen_edits import edit_pool
from vitron_agent.training.gligen_judge import judge_edits, judge_generation
from vitron_agent.training.gligen_parts import (
    build_optimiser,
    build_schedule,
    build_text_encoder,
    build_tokenizer,
    build_unet,
    export_part,
    scene_generator,
)
from vitron_agent.training.gligen_scenes import scene_pool
from vitron_agent.training.gligen_steps import (
    diffusion_loss,
    draw_examples,
    generation_unet,
    inpainting_unet,
    noisy_batch,
)
from vitron_agent.training.loop import (
    Ema,
    Run,
    TrainingConfig,
    config_from_arguments,
    replace_folder_files,
    step_generator,
)
from vitron_agent.training.precision import autocast


def exported_models(folder: Path) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Return the inpainting UNet (or, where there is none, one made of the generation UNet) and the text encoder."""
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    own = folder.parent / "gligen_inpaint" / "unet"
    source = own if (own / "config.json").exists() else folder / "unet"
    loaded = UNet2DConditionModel.from_pretrained(source, attention_type="gated", torch_dtype=torch.float32)
    return (inpainting_unet(loaded) if source != own else _plain(loaded)), encoder


def _plain(loaded: UNet2DConditionModel) -> UNet2DConditionModel:
    """Return the same UNet as `build_unet` makes it (training wants its attention kernel)."""
    unet = build_unet(loaded.config.in_channels)
    unet.load_state_dict(loaded.state_dict())
    return unet


def _export(
    config: TrainingConfig, both: nn.ModuleDict, tokenizer: CLIPTokenizer, drawing: bool, editing: bool
) -> None:
    if editing:
        export_part(both["unet"], config.out.parent / "gligen_inpaint" / "unet")
    if drawing:
        export_part(generation_unet(both["unet"]), config.out / "unet")
        export_part(both["text_encoder"], config.out / "text_encoder")
        replace_folder_files(config.out / "tokenizer", tokenizer.save_pretrained)
        replace_folder_files(config.out / "scheduler", build_schedule().save_pretrained)


def train(config: TrainingConfig, edit_share: float | None = None) -> None:
    """Train and export `unet`, `text_encoder`, `tokenizer`, `scheduler` and `../gligen_inpaint/unet`.

    Needs `config.out`/vae. With `edit_share` 1 only the inpainting UNet is trained further and exported, with 0
    only the generation UNet; the text encoder then stays as it is. Options: `batch` (24), `lr` (0.001), `edits`
    (share of editing examples, 0.3), `go_on` (1: start from the exported weights).
    """
    torch.manual_seed(config.seed)
    share = config.option("edits", 0.3) if edit_share is None else edit_share
    count = int(config.option("batch", 24))
    drawing, editing = share < 1, share > 0
    vae = AutoencoderKL.from_pretrained(config.out / "vae", torch_dtype=torch.float32).to(config.device).eval()
    tokenizer, schedule = build_tokenizer(), build_schedule()
    if config.option("go_on", 0) or not (drawing and editing):
        unet, encoder = exported_models(config.out)
        encoder.requires_grad_(drawing and editing)
    else:
        unet, encoder = inpainting_unet(build_unet()), build_text_encoder(tokenizer)
    both = nn.ModuleDict({"unet": unet, "text_encoder": encoder}).to(config.device)
    unet.to(memory_format=torch.channels_last)
    ema = Ema(both, 0.99)
    run = Run(config, {"both": both}, build_optimiser(unet, encoder, config.option("lr", 1e-3)), {"both": ema})
    scenes = scene_pool(config.run / "pool", config.seed, vae)
    edits = edit_pool(config.run / "pool", config.seed, vae)
    counts = count - round(count * share), round(count * share)
    while not run.done:
        rng, generator = scene_generator("gligen", config.seed, run.step), step_generator(config.seed, run.step)
        batch = draw_examples(scenes, edits, rng, counts, run.step)
        noisy, times, target, by_time = noisy_batch(schedule, batch.latents, generator)
        tensors = (noisy, batch.extra, times, target, by_time * batch.weight)
        noisy, extra, times, target, weight = (x.to(config.device) for x in tensors)
        with autocast(config.device):
            condition = encode_prompts(encoder, tokenizer, batch.prompts)
            loss = diffusion_loss(unet, noisy, extra, times, condition, target, weight)
        run.advance(loss, count)
        run.log(50)
        if run.due() or run.done:
            run.save()
            with ema.averaged():
                run.written(config.out, lambda: _export(config, both, tokenizer, drawing, editing))
                sheet = config.run / f"{run.step}"
                if drawing:
                    run.write(
                        judge_generation(generation_unet(unet), encoder, tokenizer, vae, sheet.with_suffix(".draw.png"))
                    )
                if editing:
                    run.write(judge_edits(unet, encoder, tokenizer, vae, sheet.with_suffix(".edit.png")))


if __name__ == "__main__":
    train(config_from_arguments("gligen", Path("vitron_agent/weights/tiny/gligen")))
