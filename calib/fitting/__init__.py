"""What is fitted on the instances of a support cache: head, temperature, order of views, limits for unknown defects."""
