"""Files of the lake: names and formats, the ledger, what is kept beside the rows, foreign files, expiry."""
