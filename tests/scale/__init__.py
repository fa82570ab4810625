"""Past one machine, measured: faults of a bucket, parity of Spark, the curve of a fan-out, and what a lake of a size costs."""
