"""Every change of our tables, in the order of their numbers. A release may only add to them."""
