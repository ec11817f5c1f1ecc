"""What a clinician reads: CDS Hooks cards with the assessment behind them. Pure."""
