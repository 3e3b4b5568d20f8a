"""The VITRON planner: vision tower, region encoder, language model, template-constrained decoding, chat face."""

from vitron_agent.planner.engine import VitronPlanner
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import AssistantTurn, DrawnRegion, Processor, UserTurn
from vitron_agent.planner.reply import PlannerOutput, Settings
from vitron_agent.planner.tokenizer import Vocabulary

__all__ = [
    "AssistantTurn",
    "DrawnRegion",
    "PlannerModel",
    "PlannerOutput",
    "Processor",
    "Settings",
    "UserTurn",
    "VitronPlanner",
    "Vocabulary",
]
