"""`crosspoint3d inspect`: what a table holds, whether all of it can be read, and a sheet of its pictures."""

from crosspoint3d.data.inspect.run import inspect

__all__ = ["inspect"]
