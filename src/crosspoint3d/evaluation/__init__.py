"""Measuring: features, linear probe, few-shot episodes, retrieval, and the record beside every number."""

from crosspoint3d.evaluation.features import compute_features

__all__ = ["compute_features"]
