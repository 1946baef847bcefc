"""The short text beside an encoder's weights: what it is, how to load it, whose terms apply."""

from typing import Any


def model_card(config: dict[str, Any]) -> str:
    """The README.md of an encoder folder.

    Args:
        config: the config.json beside it; its entry `data`, where there is one, names the training data, and `origin`
            the file of published weights that it was converted from.
    """
    image = config["kind"] == "image"
    loader = "load_image_encoder" if image else "load_encoder"
    what = "pictures (B, 3, H, W), ImageNet-normalised" if image else "clouds (B, N, 3), centred, radius 1, y up"
    arguments = ", ".join(f"{name}={value}" for name, value in config["encoder"].items())
    return f"""# {config["kind"]} encoder

Encoder `{config["kind"]}` ({arguments}) {_origin(config)}
It turns {what}, into features.

```python
from crosspoint3d.models import {loader}
encoder = {loader}("this folder")
features = encoder({"images" if image else "points"})  # and encoder.project(features) for the joint space
```

The weights are the work of whoever trained them and carry no licence of crosspoint3d (Apache-2.0, code only). Check the
terms of the training data before passing them on.
"""


def _origin(config: dict[str, Any]) -> str:
    if origin := config.get("origin"):
        return f"""with the published weights of `{origin["file"]}` ({origin["layout"]}, SHA-256
`{origin["sha256"]}`), converted by crosspoint3d {config["package"]}, not trained by it."""
    return f"""trained without labels by crosspoint3d {config["package"]} with the method of
[CrossPoint](https://arxiv.org/abs/2203.00680) (CVPR 2022). Training data: {config.get("data", "not recorded")}."""
