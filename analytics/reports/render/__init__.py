"""From a request to a published page: the report in a process of its own, the folder it is published in."""
