"""Grafana dashboards as code. Nothing is built here yet; see README, "Not yet"."""
