"""FHIR Questionnaires made of the policies' questions: what settles what the chart does not document."""
