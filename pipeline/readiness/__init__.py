"""Node, pod and cluster folds: what is wrong, since when, and why."""
