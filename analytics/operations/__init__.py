"""What an operator does to a lake or asks of a server: doctor, sampling audit, erase, expire, export, retention."""
