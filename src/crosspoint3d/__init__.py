"""crosspoint3d: a folder of unlabelled 3D shapes in, a trained and measured 3D encoder out.

The map, in the order in which data flows:

- `crosspoint3d.data`: read meshes, sample points, render views, keep them in a `ShapeTable`
- `crosspoint3d.transforms`: batched augmentations of clouds and images
- `crosspoint3d.ops`, `crosspoint3d.models`, `crosspoint3d.losses`: the networks and the objective
- `crosspoint3d.training`: the pre-training recipe
- `crosspoint3d.evaluation`: linear probe, few-shot, retrieval, each with its protocol record
- `crosspoint3d.report`, `crosspoint3d.demo`: a page a run, and the whole thing in one command

Nothing heavy is imported here.
"""

__version__ = "0.1.0"
