"""`evaluate benchmark`: encoders by evaluations from one YAML file, in one table with paired tests."""

from crosspoint3d.evaluation.benchmark.run import BenchmarkResult, benchmark

__all__ = ["BenchmarkResult", "benchmark"]
