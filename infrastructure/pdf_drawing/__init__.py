"""Drawing of PDFs: executed documents and certificates of completion, the same bytes for the same facts."""
