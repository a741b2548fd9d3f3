"""Figures of a report, each a matplotlib figure made without pyplot and without global state."""
