"""What a program would have paid for the runs of a window, before it is published."""
