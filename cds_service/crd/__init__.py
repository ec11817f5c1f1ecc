"""Da Vinci CRD: coverage information as data for the EHR, beside the cards. Pure."""
