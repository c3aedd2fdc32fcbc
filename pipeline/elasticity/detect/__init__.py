"""Detectors of elasticity: what autoscalers say and do, as evidence."""
