"""Alert rules, runbooks, their evaluator and their receivers; design.md says how they fit."""
