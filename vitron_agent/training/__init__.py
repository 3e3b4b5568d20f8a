"""Training recipes by name: each module offers `train(config: TrainingConfig) -> None`.

The paper's stages, each by one command (`vitron-agent train NAME`, `vitron-agent finetune STAGE`):

    stage                                   tiny, full weights          vitron-7b, LoRA
    1.1 encoders aligned with the LLM       planner-vision, planner     finetune 1.1
    1.2 calls of tools                      planner                     finetune 1.2
    1.3 decoders aligned with embeddings    gligen-examples,            -
                                            example-signals, signals
    2   fine-grained grounding              planner                     finetune 2
    3   cross-task synergy                  synergy                     -

The modules are named here and imported only when asked for, so that listing the recipes costs nothing.
This file knows nothing about what a recipe trains.
"""

import importlib
from collections.abc import Callable

from vitron_agent.training.loop import TrainingConfig

RECIPES: dict[str, str] = {
    "gligen-autoencoder": "vitron_agent.training.gligen_autoencoder",
    "gligen": "vitron_agent.training.gligen",
    "gligen-inpaint": "vitron_agent.training.gligen_inpaint",
    "seem": "vitron_agent.training.seem",
    "zeroscope": "vitron_agent.training.zeroscope",
    "i2vgen_xl": "vitron_agent.training.i2vgen_xl",
    "planner-vision": "vitron_agent.training.planner_vision",
    "planner": "vitron_agent.training.planner",
    "signals": "vitron_agent.training.signals",
    "gligen-examples": "vitron_agent.training.gligen_examples",
    "example-signals": "vitron_agent.training.example_signals",
    "synergy": "vitron_agent.training.synergy",
}


def load_recipe(name: str) -> Callable[[TrainingConfig], None]:
    """Return the `train` function of the recipe called `name`.

    Raises:
        KeyError: No recipe has this name; the message lists the ones there are.
    """
    if name not in RECIPES:
        raise KeyError(f"no training recipe named {name!r}; choose one of {', '.join(sorted(RECIPES))}")
    train: Callable[[TrainingConfig], None] = importlib.import_module(RECIPES[name]).train
    return train


__all__ = ["RECIPES", "TrainingConfig", "load_recipe"]
