"""The policy core: pure functions from facts to assessments. No clock, network, FHIR or payer's name in here."""
