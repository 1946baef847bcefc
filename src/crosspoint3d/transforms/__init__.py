"""Batched augmentations of clouds and pictures, on the device, each sample with random parameters of its own."""

from crosspoint3d.transforms.images import augment_images, to_grey, to_input
from crosspoint3d.transforms.points import augment_points, normalise, subsample

__all__ = ["augment_images", "augment_points", "normalise", "subsample", "to_grey", "to_input"]
