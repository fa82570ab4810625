"""What a cell and a terminal show of an open lake: the lake itself, answers, lists of names; and what they complete."""
