"""VITRON, the unified pixel-level vision LLM, as a LangGraph agent.

Importing this package is cheap: no torch, no weights. Start from `vitron_agent.build.build_agent`.
"""

from pathlib import Path as _Path

__version__ = "0.1.0"

_here = _Path(__file__).resolve().parent
if not (_here / "tools").is_dir() and (_here.parent / "tools" / "__init__.py").is_file():
    __path__.append(str(_here.parent))  # a source checkout: tools/ and graphs/ live beside this folder
