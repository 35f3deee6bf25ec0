"""The history of the catalog's schema; ``shared.runtime.migration`` runs it."""
