"""`sweep`: settings by seeds from one YAML file, trained, evaluated and laid out in one table."""

from crosspoint3d.training.sweep.run import SweepResult, sweep

__all__ = ["SweepResult", "sweep"]
