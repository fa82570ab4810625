"""What single rules do: how often they are looked at, match, cost, and whether they can match at all."""
