"""How the pocket encoder was trained: rendered surfaces and defects, and nothing else.

Not part of the installed package. `python -m training.train --help` says how to run it.
"""
