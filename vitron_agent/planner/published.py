"""The published sizes of the full-size planner: CLIP ViT-L/14@336, LLaVA's projector, Vicuna-7B v1.5."""

from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

CLIP_NAME = "clip-vit-large-patch14-336"
"""How the published tower is called."""


def clip_vision_config() -> CLIPVisionConfig:
    """CLIP ViT-L/14@336's tower: 24 x 24 patches. Source: `config.json` of openai/clip-vit-large-patch14-336."""
    return CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )


def vicuna_config(vocab_size: int = 32000) -> LlamaConfig:
    """Vicuna-7B v1.5, which is Llama 2 7B. Source: `config.json` of lmsys/vicuna-7b-v1.5.

    Args:
        vocab_size: Size of the tokenizer, added tokens included.
    """
    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )


def llava_config(vocab_size: int = 32064) -> LlavaConfig:
    """LLaVA-1.5-7B: the tower's last layer but one, two linear layers, Vicuna. Source: llava-hf/llava-1.5-7b-hf.

    Args:
        vocab_size: As `vicuna_config`; the published folder pads 32002 tokens to 32064.
    """
    return LlavaConfig(
        vision_config=clip_vision_config(),
        text_config=vicuna_config(vocab_size),
        image_token_index=32000,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=576,
        tie_word_embeddings=False,
    )
