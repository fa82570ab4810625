"""Schedulers that people have, for real: shares over ssh by GNU parallel, and the examples' DAGs in Airflow."""
