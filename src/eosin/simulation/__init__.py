"""Synthetic tissue: drawn H&E sections and cohorts with gene expression whose causes are known."""
