"""`mvrec-edge support`: a support cache changed on the line, one file for each group of commands."""
