"""The page of a rehearsal: what a draft would have paid, in sentences, tables and receipts."""
