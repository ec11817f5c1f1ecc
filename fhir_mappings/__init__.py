"""FHIR R4 to policy facts: what a chart and an order say, in the terms that coverage policies use."""
