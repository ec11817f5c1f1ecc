"""Measurements that anyone can repeat: each script prints a table and writes its numbers as JSON."""
