"""The lake on a Spark standalone cluster: a master and two workers, each a process of its own."""
