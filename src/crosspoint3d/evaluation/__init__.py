"""Measuring: features, linear probe, few-shot episodes, retrieval, and the record beside every number."""
