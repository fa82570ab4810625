"""From the server's binary rows to Parquet: decoding, flattening of traces, dictionaries, sorting, writing."""
