"""The command `mvrec-edge`: one file for each command, heavy imports inside the command."""
