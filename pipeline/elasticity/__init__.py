"""Elasticity: what scaling decided, what came of it, why not, and what else could have been."""
