"""Measuring: what an engine takes on this machine, so that the figure can be trusted.

    bundle --assemble--> members --Schedule.run--> samples --make_record--> record --> table, Markdown, plot, speeds

Every member lives in a process of its own; only one computes at a time.
"""

from __future__ import annotations
