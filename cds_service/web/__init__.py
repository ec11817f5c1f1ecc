"""HTTP: the only package that knows Flask. It reads requests, calls the review, writes answers, and decides nothing."""
