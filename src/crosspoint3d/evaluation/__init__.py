"""Measuring: features, linear probe, few-shot episodes, retrieval, and the record beside every number."""

from crosspoint3d.evaluation.features import compute_features
from crosspoint3d.evaluation.few_shot import few_shot
from crosspoint3d.evaluation.linear_probe import linear
from crosspoint3d.evaluation.retrieval import retrieval

__all__ = ["compute_features", "few_shot", "linear", "retrieval"]
