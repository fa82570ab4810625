"""A lake in stores of other makes: which of them keep runs apart, and what a lake in them is told where they do not."""
