from pathlib import Path

import pytest

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.config_file import save_yaml
from crosspoint3d.evaluation.image_size import image_size


def test_a_run_says_it_and_the_default_is_taken_elsewhere(tmp_path: Path) -> None:
    assert image_size(str(tmp_path)) == image_size("weights.pth") == PretrainConfig.image_size != 48
    save_yaml(PretrainConfig((Path("table"),), tmp_path, image_size=48), tmp_path / "config.yaml")
    (tmp_path / "image_encoder").mkdir()
    assert image_size(str(tmp_path)) == image_size(str(tmp_path / "image_encoder")) == 48
    assert image_size(str(tmp_path / "other")) == PretrainConfig.image_size


def test_another_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("colour: red\n")
    with pytest.raises(UsageError, match="colour"):
        image_size(str(tmp_path))
