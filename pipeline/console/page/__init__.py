"""The page without Grafana: the committed dashboards, log search, incidents, on loopback."""
