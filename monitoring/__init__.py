"""Alerts, runbooks and dashboards, each made of one table; `python -m monitoring` writes them."""
