"""Measuring: what an engine takes on this machine, so that the figure can be trusted.

    bundle --assemble--> cases --RoundRobin.run--> samples --make_record--> record --> table, Markdown, plot, speeds

Every case lives in a process of its own; only one computes at a time.
"""

from __future__ import annotations
