"""The files of ``deploy``: that they are right, and that what they describe works."""
