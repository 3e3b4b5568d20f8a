"""The vision specialists: each runs one model behind the contract of `base.py`; none knows planner or conversation."""
