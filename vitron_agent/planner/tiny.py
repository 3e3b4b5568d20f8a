"""Sizes of the tiny profile's planner: LLaVA's layout in miniature, about 5 million weights.

Numbers alone; the networks are vision.py's and model.py's.
"""

from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig


def tiny_vision_config() -> CLIPVisionConfig:
    """The tower of the tiny profile: 64x64 pictures, 8x8 patches of 8x8 pixels, 4 layers of width 128."""
    return CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
        projection_dim=128,
    )


def tiny_planner_config(vocab_size: int, image_token_id: int, pad_token_id: int) -> LlavaConfig:
    """The tiny planner: Llama of 6 layers, width 256, over the tiny tower; 16 tokens a picture, 80 a video.

    Args:
        vocab_size: Size of the tokenizer, specials included.
        image_token_id: Id of `<image>`.
        pad_token_id: Id of `<pad>`.
    """
    text = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=pad_token_id,
    )
    config = LlavaConfig(
        vision_config=tiny_vision_config(),
        text_config=text,
        image_token_index=image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=16,
        tie_word_embeddings=True,
    )
    config.vitron = {
        "pool": 2, "signals_per_module": 4, "shared_signals": 4, "adapter": 1, "folds_case": 1,
        "video_frames": 4, "motion": 1, "details": 1, "numbers": 8,
    }  # fmt: skip
    return config
