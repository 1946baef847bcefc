"""The short text beside an encoder's weights: what it is, how to load it, whose terms apply."""

from typing import Any

LABELLED = ("segmenter", "classifier")
"""Kinds of folders that hold an encoder with a head for labels."""
TERMS = """\
The weights are the work of whoever trained them and carry no licence of crosspoint3d (Apache-2.0, code only). Check the
terms of the training data before passing them on.
"""


def model_card(config: dict[str, Any]) -> str:
    """The README.md of an encoder folder, or of a segmenter's or classifier's.

    Args:
        config: the config.json beside it; its entry `data`, where there is one, names the training data, `origin` the
            file of published weights that it was converted from, and `fine_tuned` says that labels were used.
    """
    if config["kind"] in LABELLED:
        return _labelled_card(config)
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

{TERMS}"""


def _labelled_card(config: dict[str, Any]) -> str:
    encoder = dict(config["encoder"])
    kind = encoder.pop("kind")
    arguments = ", ".join(f"{name}={value}" for name, value in encoder.items())
    points = f" Trained with {config['points']} points a cloud." if config.get("points") else ""
    if config["kind"] == "segmenter":
        table = config["parts_table"]
        labels = f"{len(table['names'])} parts of {len(table['categories'])} categories"
        use = "segmenter(points, category)  # (B, N, 3), (B,) int64 -> (B, N, parts); segmenter.table names them"
    else:
        labels = f"{len(config['categories'])} categories"
        use = "classifier(points)  # (B, N, 3) -> (B, C); classifier.categories names them"
    return f"""# {config["kind"]}

Encoder `{kind}` ({arguments}) with a head for {labels}, {_origin(config)}{points}
Clouds are centred, of radius 1 and y up; the result is logits.

```python
from crosspoint3d.models import load_{config["kind"]}
{config["kind"]} = load_{config["kind"]}("this folder")
logits = {use}
```

{TERMS}"""


def _origin(config: dict[str, Any]) -> str:
    if origin := config.get("origin"):
        return f"""with the published weights of `{origin["file"]}` ({origin["layout"]}, SHA-256
`{origin["sha256"]}`), converted by crosspoint3d {config["package"]}, not trained by it."""
    data = config.get("data", "not recorded")
    if config["kind"] in LABELLED or config.get("fine_tuned"):
        return f"fine-tuned with labels by crosspoint3d {config['package']}. Training data: {data}."
    return f"""trained without labels by crosspoint3d {config["package"]} with the method of
[CrossPoint](https://arxiv.org/abs/2203.00680) (CVPR 2022). Training data: {data}.{_beginning(config)}"""


def _beginning(config: dict[str, Any]) -> str:
    """What an image encoder began with and was shown, where that is not the usual."""
    words = []
    if began := config.get("began_with"):
        where = " of ".join(str(began[name]) for name in ("source", "weights") if began.get(name))
        words.append(f"It began with the weights `{where}` (SHA-256 `{began['sha256']}`); their terms apply too.")
    if config.get("frozen"):
        words.append("It did not learn itself: only its projection head did.")
    if (pictures := config.get("pictures", "colour")) != "colour":
        words.append(f"It was shown {pictures} pictures, and needs such.")
    return "\n" + " ".join(words) if words else ""
