"""The cluster watcher: versions of API objects and Events, by one leader per cluster."""
