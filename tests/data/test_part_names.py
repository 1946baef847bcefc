"""The file behind `prepare --parts`, in all its forms."""

import json
from pathlib import Path
from typing import Any

import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.data.face_labels import names_in
from crosspoint3d.data.part_names import PartNames, read_part_names
from crosspoint3d.parts_table import PartsTable

TABLE = PartsTable(("Chair", "Lamp"), ((0, 1, 2), (3, 4)), ("arm", "leg", "seat", "foot", "shade"))


def parts_file(folder: Path, values: Any, name: str = "parts.json") -> Path:
    path = folder / name
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("values", "name", "numbers"),
    [
        ({"Chair": ["arm", "leg", "seat"], "Lamp": ["foot", "shade"]}, "parts.json", ((0, 1, 2), (0, 1))),
        ("Chair: [arm, leg, seat]\nLamp: {5: foot, 2: shade}\n", "parts.yaml", ((0, 1, 2), (5, 2))),
        ('{"Chair": {"1": "arm", "2": "leg", "9": "seat"}, "Lamp": ["foot", "shade"]}', "p.json", ((1, 2, 9), (0, 1))),
        (TABLE.to_dict(), "parts.yaml", ((0, 1, 2), (3, 4))),
        (
            {
                "categories": ["Chair", "Lamp"],
                "num_parts": 5,
                "parts": {
                    "Lamp": {"names": ["foot", "shade"], "first_id": 3},
                    "Chair": {"names": ["arm", "leg", "seat"], "first_id": 0},
                },
            },
            "parts.json",
            ((0, 1, 2), (3, 4)),
        ),
    ],
)
def test_forms(values: Any, name: str, numbers: tuple[tuple[int, ...], ...], tmp_path: Path) -> None:
    names = read_part_names(parts_file(tmp_path, values, name))
    assert names == PartNames(TABLE, numbers)
    assert names.by_number("Lamp") == dict(zip(numbers[1], (3, 4), strict=True))
    assert names.by_name("Lamp") == {"foot": 3, "shade": 4}
    plain = json.loads(json.dumps(names.to_dict()))
    assert PartNames.from_dict(plain) == names and PartsTable.from_dict(plain) == TABLE


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("[1, 2]", "holds no categories; expected `CATEGORY:"),
        ("{}", "holds no categories"),
        ("{", "neither YAML nor JSON"),
        ('{"Chair": "leg"}', "Chair has no list of parts; expected"),
        ('{"Chair": []}', "Chair has no list of parts"),
        ('{"Chair": ["leg", true]}', "Chair: part 1 is called True, which is no text"),
        ('{"Chair": ["leg", "seat", "leg"]}', "Chair has a part twice: leg"),
        ('{"Chair": {"1": "leg", "01": "seat"}}', "Chair has a part twice: 1, 01"),
        ('{"Chair": {"-1": "leg"}}', "Chair: '-1' is no number of a part"),
        ('{"categories": ["Chair"], "parts": {"Chair": {"names": ["leg"]}}}', "no key 'first_id'"),
        ('{"categories": ["Chair"], "parts": {"Chair": {"names": ["leg"], "first_id": 1}}}', "part ids 0 to 0 must be"),
        ('{"categories": ["Chair"], "parts": [[0, 2]], "names": ["leg", "seat"]}', "part ids 0 to 1 must be"),
        (json.dumps({"Chair": [str(i) + "x" for i in range(257)]}), "257 parts, and a table holds 256"),
    ],
)
def test_refusals(values: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason) as error:
        read_part_names(parts_file(tmp_path, values))
    assert "--parts" in str(error.value)


def test_yaml_words_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="category 7 is no text: put it into quotes"):
        read_part_names(parts_file(tmp_path, "7: [leg]\n", "p.yaml"))
    with pytest.raises(UsageError, match=r"part 1 is called False, which is no text"):
        read_part_names(parts_file(tmp_path, "Lamp: [on top, off]\n", "p.yaml"))
    with pytest.raises(UsageError, match="No such file"):
        read_part_names(tmp_path / "none.yaml")


def test_label_files_may_name_as_many_parts_as_a_table_holds(tmp_path: Path) -> None:
    for count in (256, 257):
        file = parts_file(tmp_path, "".join(f"part {i}\n1\n" for i in range(count)), "a_labels.txt")
        if count == 256:
            names = names_in([("Chair", file)])
            assert names is not None and len(names.table) == 256
        else:
            with pytest.raises(UsageError, match="257 parts, and a table holds 256"):
                names_in([("Chair", file)])


@pytest.mark.shared
def test_the_parts_of_the_princeton_set(shared_data: Path) -> None:
    names = read_part_names(shared_data / "princeton_parts" / "parts.json")
    assert len(names.table) == 94 and len(names.table.categories) == 19
    assert names.by_name("Cup") == {"body": 44, "handle": 45} and names.by_number("Cup") == {44: 44, 45: 45}
