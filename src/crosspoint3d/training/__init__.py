"""Recipes: how an encoder is trained."""
