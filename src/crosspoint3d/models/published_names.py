"""The names behind the labels of published weights, which hold none: told by how many there are.

The readers of data sets are imported when asked for: a network runs without the packages that they need.
"""

from crosspoint3d.parts_table import PartsTable

MODELNET40 = (
    "airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone",
    "cup", "curtain", "desk", "door", "dresser", "flower_pot", "glass_box", "guitar", "keyboard", "lamp",
    "laptop", "mantel", "monitor", "night_stand", "person", "piano", "plant", "radio", "range_hood", "sink",
    "sofa", "stairs", "stool", "table", "tent", "toilet", "tv_stand", "vase", "wardrobe", "xbox",
)  # fmt: skip
"""Names in the order of ModelNet40's labels."""


def category_names(count: int) -> tuple[str, ...]:
    """Names of the categories of a classifier: ModelNet40's where there are 40, ScanObjectNN's 15, else numbers."""
    from crosspoint3d.data.published.scanobjectnn import CATEGORIES as SCANOBJECTNN

    known = {len(names): names for names in (MODELNET40, SCANOBJECTNN)}
    return known.get(count) or tuple(f"category {i}" for i in range(count))


def parts_table(categories: int, parts: int) -> PartsTable:
    """The table of a part segmentation network: ShapeNetPart's where it has 16 categories and 50 parts.

    Otherwise the names are numbers, and as nothing says which category has which parts, the first one has them all.
    """
    from crosspoint3d.data.part_rows import number_parts
    from crosspoint3d.data.published.shapenet_part_names import shapenet_part_naming

    known = number_parts(shapenet_part_naming())
    if (categories, parts) == (len(known.categories), len(known)):
        return known
    own = (tuple(range(parts)), *((),) * (categories - 1))
    return PartsTable(tuple(f"category {i}" for i in range(categories)), own, tuple(f"part {i}" for i in range(parts)))
