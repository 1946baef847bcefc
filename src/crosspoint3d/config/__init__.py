"""One frozen dataclass a verb: every option, its default and one line of help.

Imports neither torch nor the command-line library. The string under a field is its help text.
"""

from crosspoint3d.config.common import MOST_POINTS_BY_DEFAULT, Device, Protocol, RunError, UsageError
from crosspoint3d.config.evaluation import (
    BenchmarkConfig,
    ClusterConfig,
    EvaluateConfig,
    FewShotConfig,
    KnnConfig,
    LabelFractionConfig,
    LinearConfig,
    RepeatConfig,
    RetrievalConfig,
    RobustnessConfig,
)
from crosspoint3d.config.finetuning import (
    ClassifyConfig,
    FinetuneClassifyConfig,
    FinetuneConfig,
    FinetuneSegmentConfig,
    SegmentationConfig,
    SegmentConfig,
    UseConfig,
)
from crosspoint3d.config.sweep import SweepConfig
from crosspoint3d.config.tools import ConvertConfig, DemoConfig, DownloadConfig, InspectConfig, ReportConfig
from crosspoint3d.config.training import RECIPES, PrepareConfig, PretrainConfig

__all__ = [
    "MOST_POINTS_BY_DEFAULT",
    "RECIPES",
    "BenchmarkConfig",
    "ClassifyConfig",
    "ClusterConfig",
    "ConvertConfig",
    "DemoConfig",
    "Device",
    "DownloadConfig",
    "EvaluateConfig",
    "FewShotConfig",
    "FinetuneClassifyConfig",
    "FinetuneConfig",
    "FinetuneSegmentConfig",
    "InspectConfig",
    "KnnConfig",
    "LabelFractionConfig",
    "LinearConfig",
    "PrepareConfig",
    "PretrainConfig",
    "Protocol",
    "RepeatConfig",
    "ReportConfig",
    "RetrievalConfig",
    "RobustnessConfig",
    "RunError",
    "SegmentConfig",
    "SegmentationConfig",
    "SweepConfig",
    "UsageError",
    "UseConfig",
]
