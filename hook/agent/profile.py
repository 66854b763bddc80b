"""Profiles: whose prompts, tools and rules the agents work with."""

from __future__ import annotations

import enum


class AgentProfile(enum.StrEnum):
    """Ours, or the flow as fuzzing farms run it: no pack, no look-ups and no citation rule of ours, and options as the model gave them."""

    DEFAULT = "default"
    FARM = "farm"  # since September 2026
    FARM_2026_06 = "farm-2026-06"  # before

    @property
    def is_a_farms(self) -> bool:
        return self in (AgentProfile.FARM, AgentProfile.FARM_2026_06)
