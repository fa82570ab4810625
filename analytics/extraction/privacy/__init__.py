"""The people in the log: their ids become pseudonyms, what they sent is dropped, and who was erased stays erased.

All of it happens to the rows on their way in, before anything of them is counted, summed up or written: see ``row_filter``.
"""
