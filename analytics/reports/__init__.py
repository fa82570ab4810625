"""Pages: sentences, tables and charts of the findings, how they are rendered, scheduled, and searched for leaks."""
