"""STFlow: whole-slide flow matching with E(2)-invariant local attention."""

from eosin.models.stflow.stflow import STFlowSettings, build

__all__ = ["STFlowSettings", "build"]
