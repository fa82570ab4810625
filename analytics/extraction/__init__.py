"""From the source to the lake: the plan of a run, the transfer of days, what it records, and repairs of partitions."""
