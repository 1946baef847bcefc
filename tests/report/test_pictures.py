import base64
import io

import numpy as np
import pytest
from PIL import Image

from crosspoint3d.data.rows import encode
from crosspoint3d.geometry import CAMERA_DISTANCE
from crosspoint3d.report.pictures import contact_sheet, data_uri, draw_cloud, thumbnail

POSE = np.array([0.4, 0.3, CAMERA_DISTANCE], np.float32)


def opened(uri: str) -> np.ndarray:
    head, body = uri.split(",", 1)
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


def plain(color: tuple[int, int, int], width: int = 40, height: int = 40) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def test_a_picture_survives_its_uri() -> None:
    assert np.abs(opened(data_uri(plain((200, 30, 90)))).astype(int) - (200, 30, 90)).max() < 6


def test_a_thumbnail_keeps_its_proportions_and_never_grows() -> None:
    assert opened(thumbnail(encode(plain((9, 9, 9), 80, 40)), 20)).shape == (10, 20, 3)
    assert opened(thumbnail(encode(plain((9, 9, 9), 16, 16)), 20)).shape == (16, 16, 3)


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_every_picture_has_its_tile(count: int) -> None:
    colors = [(40 * (i % 6), 25 * i, 255 - 25 * i) for i in range(count)]
    uri, columns = contact_sheet([encode(plain(color)) for color in colors], 16)
    sheet = opened(uri)
    for i, color in enumerate(colors):
        tile = sheet[i // columns * 16 :, i % columns * 16 :][4:12, 4:12]
        assert np.abs(tile.mean(axis=(0, 1)) - color).max() < 8


def test_a_cloud_is_drawn_where_it_is_and_repeats_change_nothing() -> None:
    generator = np.random.default_rng(0)
    cloud = generator.normal(size=(200, 3)).astype(np.float32)
    cloud *= 0.9 / np.linalg.norm(cloud, axis=1).max()
    picture = draw_cloud(cloud, POSE, size=48)
    again = draw_cloud(np.concatenate([cloud, cloud[:1].repeat(300, axis=0)]), POSE, size=48)
    np.testing.assert_array_equal(picture, again)
    covered = (picture < 250).any(axis=2)
    assert 0.1 < covered.mean() < 0.9 and not covered[[0, -1]].any() and not covered[:, [0, -1]].any()
    assert (draw_cloud(cloud, POSE, size=48, radius=2.0) < 250).any(axis=2).sum() < 0.5 * covered.sum()
