"""The PLEG black box: a short-lived process that asks the container runtime and keeps evidence."""
