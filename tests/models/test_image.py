import sys
import types

import pytest
import torch
from torch import nn

from crosspoint3d.config import UsageError
from crosspoint3d.models import image_encoder


def test_own_names() -> None:
    model = image_encoder("resnet18")
    assert model.features == 512 and model.config() == {"name": "resnet18"}
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 512)


def test_unknown_names_list_what_is_known() -> None:
    for name in ("resnet152", "timm:", ""):
        with pytest.raises(UsageError, match="resnet18, resnet34, resnet50 and timm:NAME"):
            image_encoder(name)


def test_missing_timm_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"timm:vit_tiny needs the timm library: pip install 'crosspoint3d\[timm\]'"):
        image_encoder("timm:vit_tiny")


def test_timm_is_asked_for_features(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, pretrained: bool, num_classes: int) -> nn.Module:
        if name != "tiny":
            raise RuntimeError(f"Unknown model ({name})")
        assert not pretrained and num_classes == 0
        model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        model.num_features = 3
        return model

    module = types.ModuleType("timm")
    module.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", module)
    model = image_encoder("timm:tiny")
    assert model.features == 3 and model.config() == {"name": "timm:tiny"}
    assert model(torch.ones(2, 3, 8, 8)).tolist() == [[1.0] * 3] * 2
    with pytest.raises(UsageError, match=r"Unknown model \(giant\); timm.list_models"):
        image_encoder("timm:giant")
