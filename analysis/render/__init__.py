"""Pages, pictures and JSON of a report. The only place in `analysis` where sentences are made."""
