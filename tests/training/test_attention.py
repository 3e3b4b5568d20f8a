"""The training's attention is the library's, only faster."""

import torch
from transformers import LlamaConfig, LlamaModel

from vitron_agent.training.attention import CHUNK, use_plain_attention


def test_plain_attention_equals_the_librarys_forwards_and_backwards() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4
    )
    model = LlamaModel(config)
    ids = torch.randint(0, 50, (2, CHUNK + 30))  # more than one chunk, the last one not full
    results = []
    for _ in range(2):
        model.zero_grad()
        states = model(ids).last_hidden_state
        states.square().mean().backward()
        results.append((states.detach(), model.layers[0].self_attn.q_proj.weight.grad))
        use_plain_attention(model)
    (states, gradient), (plain_states, plain_gradient) = results
    assert torch.allclose(states, plain_states, atol=1e-5)
    assert torch.allclose(gradient, plain_gradient, atol=1e-6)
