"""Layers look down only. Reads the imports of every source file with `ast`; nothing is executed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"vitron_agent": "vitron_agent", "vitron_agent.tools": "tools", "vitron_agent.graphs": "graphs"}

VALUES = {"errors", "media", "invocation", "signals"}
BACKENDS = {"planner", "specialists"}
PROFILES = {"parts", "profiles"}

# Layer -> the layers it may import besides itself. A layer is the first name below vitron_agent.
MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "media": {"errors"},
    "invocation": {"errors", "media"},
    "signals": {"errors", "media", "invocation"},
    "parts": VALUES,
    "origins": set(),
    "profiles": VALUES | {"parts"},
    "pickles": {"errors"},
    "integrity": VALUES | PROFILES,
    "memory": VALUES | PROFILES,
    "hub": VALUES | PROFILES | {"integrity", "origins"},
    "locations": VALUES | PROFILES | {"hub"},
    "fitting": VALUES | PROFILES | {"memory", "locations", "tools"},
    "planner": VALUES | {"pickles"},
    "specialists": VALUES | {"pickles"},
    "shapes": VALUES,
    "tools": VALUES | {"specialists"},
    "graphs": VALUES | {"planner", "specialists", "tools"},
    "testing": VALUES | {"specialists"},
    "registry": VALUES | BACKENDS | PROFILES | {"locations"},
    "build": VALUES | BACKENDS | PROFILES | {"locations", "fitting", "registry", "tools", "graphs"},
    "server": PROFILES | {"graphs", "build"},
    "training": VALUES | BACKENDS | PROFILES | {"shapes"},
    "evaluation": VALUES | BACKENDS | PROFILES | {"locations", "tools", "graphs", "build", "shapes"},
    "cli": VALUES
    | BACKENDS
    | PROFILES
    | {
        "locations",
        "hub",
        "integrity",
        "memory",
        "tools",
        "graphs",
        "testing",
        "build",
        "shapes",
        "training",
        "evaluation",
    },
}

# Who may know LangChain: the planner's chat face (the model, and its reading of messages), and what stands above it.
LANGCHAIN_LAYERS = {"tools", "graphs", "testing", "registry", "build", "server", "evaluation", "cli"}
LANGCHAIN_FILES = {"vitron_agent.planner.chat", "vitron_agent.planner.messages"}

# Never: duplicates of what is here, or a way to run code out of a file.
BANNED = {"torchvision", "timm", "pickle", "dill", "joblib", "shelve", "marshal"}


def source_files() -> dict[str, Path]:
    """Dotted module name -> file, of everything that is installed."""
    found: dict[str, Path] = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *parts]).removesuffix(".__init__")
            found[name] = path
    return found


MODULES = source_files()


def layer_of(module: str) -> str:
    """The first name below vitron_agent ("" for the package itself)."""
    return (module.split(".") + [""])[1]


def imports_of(tree: ast.Module) -> list[tuple[int, str, int]]:
    """(line, dotted name, relative level) of every import, also those inside functions."""
    found: list[tuple[int, str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if base == "vitron_agent":  # `from vitron_agent import errors` names its layer behind the import
                found += [(node.lineno, f"vitron_agent.{alias.name}", node.level) for alias in node.names]
            else:
                found.append((node.lineno, base, node.level))
    return found


def complaints(module: str, source: str) -> list[str]:
    """Every rule that one source file breaks, as "line: what"."""
    layer, wrong = layer_of(module), []
    knows_langchain = layer in LANGCHAIN_LAYERS or module in LANGCHAIN_FILES
    allowed = MAY_IMPORT.get(layer, set()) | {layer, "", "__version__"}
    for line, name, level in imports_of(ast.parse(source)):
        top = name.split(".")[0]
        if level:
            wrong.append(f"{line}: relative import; write vitron_agent.… in full")
        elif top in {"tools", "graphs", "tests"}:
            wrong.append(f"{line}: imports {name}; the name is vitron_agent.{name}")
        elif top in BANNED:
            wrong.append(f"{line}: imports {name}, which this project does without")
        elif top == "vitron_agent" and layer_of(name) not in allowed:
            wrong.append(f"{line}: {layer or 'the package'} may not import {name}")
        elif top.startswith(("langchain", "langgraph")) and not knows_langchain:
            wrong.append(f"{line}: imports {name}; LangChain begins at tools")
    return wrong


def test_every_layer_has_a_rule() -> None:
    assert {layer_of(module) for module in MODULES} - MAY_IMPORT.keys() == set()


def test_the_two_mapped_folders_are_read() -> None:
    layers = {layer_of(module) for module in MODULES}
    assert {"tools", "graphs", "planner", "specialists", "cli"} <= layers


@pytest.mark.parametrize("module", MODULES)
def test_imports_look_down_only(module: str) -> None:
    assert complaints(module, MODULES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("vitron_agent.planner.model", "from vitron_agent.specialists.base import Specialist"),
        ("vitron_agent.specialists.gligen", "import vitron_agent.planner.model"),
        ("vitron_agent.specialists.gligen", "from vitron_agent import shapes"),
        ("vitron_agent.media.store", "from vitron_agent.signals import SignalStore"),
        ("vitron_agent.tools.draw", "from vitron_agent.pickles import pickled_table"),
        ("vitron_agent.tools.draw", "from vitron_agent.graphs.agent import build"),
        ("vitron_agent.graphs.agent", "from vitron_agent.cli import app"),
        ("vitron_agent.planner.model", "from langchain_core.messages import AIMessage"),
        ("vitron_agent.specialists.base", "import langgraph.graph"),
        ("vitron_agent.tools.draw", "from tools.edit import edit"),
        ("vitron_agent.tools.draw", "from .edit import edit"),
        ("vitron_agent.media.codec", "import torchvision.io"),
        ("vitron_agent.signals", "def load():\n    import pickle"),
    ],
)
def test_a_forbidden_import_is_seen(module: str, line: str) -> None:
    assert len(complaints(module, line)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("vitron_agent.planner.chat", "from langchain_core.messages import AIMessage"),
        ("vitron_agent.specialists.seem.model", "from vitron_agent.specialists.base import Specialist"),
        ("vitron_agent.tools.draw", "from vitron_agent import errors, media"),
        ("vitron_agent.graphs.agent", "from langgraph.graph import StateGraph"),
    ],
)
def test_an_allowed_import_passes(module: str, line: str) -> None:
    assert complaints(module, line) == []


def test_pickled_weights_are_read_in_one_place_as_plain_tensors_only() -> None:
    """`torch.load` reads pickles, which may hold code, unless it is told to read weights only."""
    calls = {
        module: [ast.unparse(word) for word in node.keywords]
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    }
    assert calls == {"vitron_agent.pickles": ["map_location='cpu'", "weights_only=True"]}
