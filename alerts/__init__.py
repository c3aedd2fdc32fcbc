"""Alert rules, runbooks and their evaluator. Nothing is built here yet; see README, "Not yet"."""
