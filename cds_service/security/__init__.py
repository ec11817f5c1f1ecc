"""What keeps strangers out and data in."""
