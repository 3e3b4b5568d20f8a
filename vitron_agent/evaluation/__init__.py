"""Evaluation: held-out and hand-written suites driven through the compiled agent, judged by reading pictures back."""

from vitron_agent.evaluation.report import Report, Row
from vitron_agent.evaluation.runner import evaluate, suite_names
from vitron_agent.evaluation.suites import SUITES

__all__ = ["SUITES", "Report", "Row", "evaluate", "suite_names"]
