"""The village node: receives, serves, answers, reports."""
