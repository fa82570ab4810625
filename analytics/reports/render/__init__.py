"""From a request to a published page: the report's notebook in a kernel of its own, the folder it is published in."""
